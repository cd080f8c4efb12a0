"""`robustfront train --devices 2`, whole processes on the CPU."""

import signal
import subprocess
import sys
import time

import pytest
import torch

from robustfront import artefacts
from robustfront.training.launch import joined, launch

CPUS = [torch.device("cpu")] * 2


def train(project, name: str, *options: str) -> subprocess.Popen:
    where = ["--params", str(project.folder / "params.yaml"), "--results", str(project.layout.results)]
    command = [sys.executable, "-m", "robustfront", *where, "train", project.run(name).id, "--devices", "2"]
    return subprocess.Popen(
        [*command, "--device", "cpu", *options], stderr=subprocess.PIPE, text=True, cwd=project.folder
    )


def test_stopped_by_sigterm_on_two_devices_and_finished_on_one(small_project) -> None:
    process = train(small_project, "npda-long")
    path = small_project.layout.checkpoint(small_project.run("npda-long").id) / "checkpoint.safetensors"
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert said.count("stopped at epoch") == 1
    assert "Traceback" not in said
    manifest = artefacts.read_json(small_project.train("npda-long") / "manifest.json")
    assert (manifest["resumed"], manifest["devices"]) == (True, 1)


def test_a_method_that_needs_whole_batches_is_refused_in_a_line(small_project) -> None:
    process = train(small_project, "frl")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.strip().endswith("cannot be shared out; train it on one device")
    assert said.count("error: ") == 1


@pytest.mark.parametrize(
    ("by_rank", "code", "shown"),
    [
        ("sys.exit(rank * 3)", 3, "rank 1"),  # the other one's failure is told
        ("sys.exit(4)", 4, ""),  # both fail of the same: the first one has told
        ("os.kill(os.getpid(), 9) if rank else time.sleep(60)", 137, "rank 1"),  # takes the first one along
        ("1 / rank", 1, ""),
    ],
)
def test_what_fails_decides_the_exit_code(by_rank, code, shown, monkeypatch, capfd) -> None:
    monkeypatch.setattr("robustfront.training.launch.GRACE_SECONDS", 0.5)
    script = (
        "import os, sys, time; rank = int(os.environ['RANK']); "
        f"print('rank', rank, flush=True) if rank else None; {by_rank}"
    )
    assert launch([sys.executable, "-c", script], CPUS) == code
    assert capfd.readouterr().err.startswith(shown)


def test_who_fails_first_is_told_and_not_who_waited_for_it(capfd) -> None:
    script = (
        "import sys, time, torch, torch.distributed as dist\n"
        "from robustfront.errors import ConfigError, RobustfrontError\n"
        "from robustfront.training.launch import joined\n"
        "try:\n"
        "    with joined(torch.device('cpu')) as world:\n"
        "        if world.rank:\n"
        "            raise ConfigError('the reason')\n"
        "        dist.all_reduce(torch.ones(1))\n"
        "except RobustfrontError as error:\n"
        "    print('error:', error, file=sys.stderr)\n"
        "    time.sleep(error.exit_code == 2)\n"  # the other one is sooner gone
        "    sys.exit(error.exit_code)\n"
    )
    assert launch([sys.executable, "-c", script], CPUS) == 2
    said = capfd.readouterr().err
    assert "error: process 1 of this training failed" in said
    assert said.endswith("error: the reason\n")
    assert "Traceback" not in said


def test_a_world_of_one_is_no_world(monkeypatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as world:
        assert (world.rank, world.size) == (0, 1)
