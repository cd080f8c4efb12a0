"""Shared fixtures. One torch thread per process: the suite runs in parallel processes."""

import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

from small_project import Project, build

torch.set_num_threads(1)

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    """The repository root."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `shared/data` beside the checkout, with real images and `unpack.py`; skips without it."""
    folder = PROJECT.parent / "shared" / "data"
    if not (folder / "unpack.py").is_file():
        pytest.skip(
            "needs ../shared/data (real CIFAR-10, MNIST and SVHN images), which is not on this machine"
        )
    return folder


@pytest.fixture(scope="session")
def finished_standard_model(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project up to its standard model and the projector."""
    return build(tmp_path_factory.mktemp("project"))


@pytest.fixture
def small_project(finished_standard_model: Project, tmp_path: Path) -> Project:
    """A copy of it for each test."""
    shutil.copytree(finished_standard_model.folder, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)
