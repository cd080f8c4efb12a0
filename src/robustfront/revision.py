"""The git commit that a project's folder is at."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """That of the working directory, with "-dirty" if tracked files differ; None if it cannot be had."""
    return _described()[0]


def why_unknown() -> str:
    """Why git does not tell the commit of the repository that the working directory is in; else empty."""
    here = Path.cwd()
    known, problem = _described()
    in_repository = any((folder / ".git").exists() for folder in (here, *here.parents))
    return problem if known is None and in_repository else ""


def _described() -> tuple[str | None, str]:
    """The commit, or None and what went wrong, in git's words."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return None, str(error)
    if answer.returncode:
        return None, " ".join(answer.stderr.split())
    return answer.stdout.strip(), ""
