"""The script for a GPU, rehearsed on the CPU with a tiny network; its numbers are not looked at here."""

import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu import correct
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.mosaics import unpacked
from benchmarks.workload import Workload
from robustfront import attacks
from robustfront.config.networks import PreActResNet

COMMAND = [sys.executable, "-m", "benchmarks.gpu"]
REHEARSAL = ["--device", "cpu", "--tiny"]


def rehearse(project: Path, *words: object) -> str:
    command = [*COMMAND, *map(str, words), *REHEARSAL]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_check_is_made_and_told(project: Path, tmp_path: Path) -> None:
    said = rehearse(project, "check", "--out", tmp_path)
    page = (tmp_path / "gpu.md").read_text()
    assert said.strip() in page
    assert page.count(": ok (") == 13
    assert "FAILED" not in page
    assert "| NPGD + TRADES, ours, bf16 |" in page


def test_evidence_is_gathered_by_the_commands_users_have(project: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = {f"x_{part}": generator.integers(0, 256, (n, 3, 8, 8), np.uint8) for part, n in SIZES.items()}
    labels = {f"y_{part}": np.arange(n) % 10 for part, n in SIZES.items()}
    np.savez(tmp_path / "images.npz", **images, **labels)
    rehearse(project, "evidence", "--images", tmp_path / "images.npz", "--out", tmp_path, "--seconds", 60)
    page = (tmp_path / "gpu-evidence.md").read_text()
    assert "FAILED" not in page
    assert all(f"| {name} | " in page for name in ("st", "pgd-at", "trades", "npda-pgd", "npgd-pgd"))
    with tarfile.open(tmp_path / "evidence.tar.gz") as archive:
        names = archive.getnames()
    assert sum(name.endswith(".parquet") for name in names) == 25  # 5 runs; clean, and 2 attacks in 2 spaces
    assert sum(name.endswith("history.csv") for name in names) == 5


SIZES = {"train": 64, "test": 20}


def test_no_step_begins_late_and_none_that_fails_ends_the_rest(tmp_path: Path) -> None:
    def fails() -> list[str]:
        raise AssertionError("it is wrong\nin detail")

    journal = Journal(tmp_path / "page.md", "Title", "command", torch.device("cpu"), seconds=100)
    journal.step("one", fails)
    assert "- one: **FAILED**: AssertionError: it is wrong (" in (tmp_path / "page.md").read_text()
    journal.step("two", lambda: ["found"])
    assert "- two: ok (" in (tmp_path / "page.md").read_text()
    journal._seconds = 0
    journal.step("three", fails)
    assert "- three: not reached" in (tmp_path / "page.md").read_text()
    assert journal.failed == ["one"]


@pytest.fixture(scope="module")
def work() -> Workload:
    torch.set_num_threads(1)
    config = PreActResNet(depth=10, width=4)
    return Workload.make(config, batch=12, size=8, folder=None, device=torch.device("cpu"))


def test_checks_find_what_they_are_for(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    right = attacks.input_gradient

    def wrong(*given: object) -> torch.Tensor:
        return right(*given).flip(0)

    def from_copies(model: torch.nn.Module, *given: object) -> torch.Tensor:
        return (right if model.__dict__.get("features") is None else wrong)(model, *given)

    monkeypatch.setattr(attacks, "input_gradient", from_copies)
    monkeypatch.setattr(attacks, "stand_in", partial(_copied, attacks.stand_in))
    with pytest.raises(AssertionError, match="the replayed gradient is off by"):
        correct.replayed(work)


def _copied(make: object, model: torch.nn.Module, x: torch.Tensor) -> torch.nn.Module:
    found = make(model, x)
    found.features = found.features  # told apart from a copy made afresh
    return found


def test_mosaics_are_the_images(shared_data: Path, tmp_path: Path) -> None:
    for name in ("labels.npz", "test_batch.webp", "data_batch_1.webp"):
        (tmp_path / name).symlink_to(shared_data / "cifar10" / name)
    subprocess.run([sys.executable, shared_data / "unpack.py", tmp_path / "raw"], check=True)
    from robustfront.data.pickles import load

    with np.load(unpacked(tmp_path)) as arrays:
        for name, part in (("data_batch_1", "train"), ("test_batch", "test")):
            batch = load((tmp_path / "raw/cifar-10-batches-py" / name).read_bytes(), name)
            assert (batch["data"].reshape(-1, 3, 32, 32) == arrays[f"x_{part}"]).all()
            assert batch["labels"] == arrays[f"y_{part}"].tolist()
