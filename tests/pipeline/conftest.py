"""A finished small copy of the project in a temporary folder."""

import os
import shutil
import time
from pathlib import Path

import pytest
from workflow_project import Project

from tiny import tiny_params


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `snakemake` has run once, from images to page; its folder's name is two words."""
    root = tmp_path_factory.mktemp("a project")
    tiny = Project(root)
    tiny.write(tiny_params())
    output = tiny.snakemake()
    assert output.returncode == 0, output.stdout[-6000:]
    return tiny


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """The finished project in another folder, with timestamps in an arbitrary order, as after a clone."""
    root = tmp_path / "elsewhere"
    shutil.copytree(finished.root, root, ignore=shutil.ignore_patterns(".snakemake", ".cache"))
    results = sorted(path for path in (root / "results").rglob("*") if path.is_file())
    for position, path in enumerate(reversed(results)):
        os.utime(path, (1.7e9 + position, 1.7e9 + position))
    now = time.time()  # no report file is older than another that it is made from
    for path in (root / "reports").rglob("*"):
        os.utime(path, (now, now))
    return Project(root)
