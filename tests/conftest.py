"""Shared fixtures. One torch thread per process: with `-n auto` the suite runs in as many as it has cores.

More would wait for each other: what the tests compute is small.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from robustfront import cli, cores
from small_project import Project, build

os.environ["OMP_NUM_THREADS"] = "1"  # in what tests start, too
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("ROBUSTFRONT_ARITHMETIC", "bf16")  # where it is allowed, whatever is faster here
torch.set_num_threads(1)

PROJECT = Path(__file__).resolve().parent.parent


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: it would count the cores of the machine, whatever a container's quota leaves."""
    return cores.available()


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


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this process: exit code, standard output, standard error."""

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["robustfront", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command
