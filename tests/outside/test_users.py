"""A folder that another user works in: what is read there, and whose a lock is."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from outside import Outside, possible, refused, succeeded
from robustfront.jobs import workplace
from small_project import Project

NOBODY = 65534


@pytest.fixture
def others(outside: Outside) -> Iterator[Outside]:
    """The project in a folder that all may read, as somebody else sees it."""
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.copytree(outside.folder, folder / "project")
        for path in (folder, folder / "project"):
            path.chmod(0o755)
        (folder / "home").mkdir()
        (folder / "home").chmod(0o777)
        home = str(folder / "home")
        variables = {"HOME": home, "XDG_CACHE_HOME": home, "PYTHONDONTWRITEBYTECODE": "1"}
        yield possible(Outside(folder / "project", variables, NOBODY))
    finally:
        shutil.rmtree(folder)


def everything(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_questions_write_nothing_and_see_whose_work_goes_on(others: Outside) -> None:
    project = Project(others.folder)
    place = project.layout.checkpoint("nobody")
    with workplace(place, "a job"):
        before = everything(others.folder)
        for verb in ("plan", "status", "prune", "verify", "why"):
            done = others.robustfront(verb, *(["st"] if verb == "why" else []))
            assert "Traceback" not in done.stdout, done.stdout
            assert "checkpoints/nobody" not in done.stdout
        assert everything(others.folder) == before
    place.mkdir()
    (place / "lock").touch()
    assert "checkpoint checkpoints/nobody" in succeeded(others.robustfront("prune"))


def test_a_dry_run_where_nothing_can_be_written_names_what_answers(others: Outside) -> None:
    before = everything(others.folder)
    done = others.snakemake("--dry-run")
    assert done.returncode == 1
    refused(done)
    assert everything(others.folder) == before


def test_a_lock_is_told_with_its_user(others: Outside) -> None:
    project = Project(others.folder)
    run = project.run("npgd").id
    place = project.layout.checkpoint(run)
    for path in (others.folder, *others.folder.rglob("*")):
        path.chmod(0o777)
    with workplace(place, "a job"):
        place.chmod(0o777)
        refused(others.robustfront("train", run))
    place.mkdir()
    (place / "lock").touch()
    place.chmod(0o777)
    refused(others.robustfront("train", run))
