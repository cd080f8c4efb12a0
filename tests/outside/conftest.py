"""A small project, whose commands run in processes of their own: what is wrong lies outside of them."""

import subprocess
from pathlib import Path

import pytest

from outside import Outside
from small_project import Project


@pytest.fixture
def outside(small_project: Project) -> Outside:
    """The small project, with its standard model and its projector."""
    return Outside(small_project.folder)


def library(name: str, folder: Path) -> Path:
    """A library to preload, of a source beside this file."""
    made = folder / f"{name}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, Path(__file__).with_name(f"{name}.c")], check=True)
    return made


@pytest.fixture
def without_flock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file system is one without flock, and says so by the error ROBUSTFRONT_TEST_ERRNO."""
    return library("without_flock", tmp_path_factory.mktemp("library"))


@pytest.fixture
def without_passwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No user has a name."""
    return library("without_passwd", tmp_path_factory.mktemp("library"))
