from pathlib import Path

import pytest
from study_project import StudyProject


@pytest.fixture
def empty(tmp_path: Path) -> StudyProject:
    """A study of two runs, one data set, one suite, without any result."""
    found = StudyProject(tmp_path)
    found.write()
    found.facts(source="me, 2025", lede="What I found.")
    return found


@pytest.fixture
def mine(empty: StudyProject) -> StudyProject:
    """The same with all its results."""
    empty.finish()
    return empty
