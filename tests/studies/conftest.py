from finished_study import empty_project, finished  # noqa: F401
