from pathlib import Path

import pytest
from text_project import TextProject

from robustfront.upkeep import status
from small_params import tree
from study_files import write


@pytest.fixture
def finished_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TextProject:
    """Six runs and their evaluations, in the current folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, tree())
    monkeypatch.chdir(folder)
    project = TextProject(Path())
    project.finish()
    return project


@pytest.fixture
def old_pages(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The studies whose reports count as out of date, and "contents"; tests/reporting shows when they do."""
    old: set[str] = set()
    monkeypatch.setattr(status.freshness, "is_current", lambda study, layout, folder: folder.name not in old)
    monkeypatch.setattr(status.freshness, "contents_are_current", lambda plan, reports: "contents" not in old)
    return old
