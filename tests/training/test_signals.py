"""Whole processes: `python -m robustfront train`, killed and started again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robustfront import artefacts
from robustfront.errors import RunLocked
from robustfront.models import weights


def start(project, name: str, log: Path) -> subprocess.Popen:
    """Starts the training of a run; `log` also gets the name of every module it imports."""
    arguments = ["--params", str(project.folder / "params.yaml"), "--results", str(project.layout.results)]
    command = [sys.executable, "-X", "importtime", "-m", "robustfront", *arguments]
    command += ["train", project.run(name).id, "--device", "cpu"]
    with log.open("w") as file:
        return subprocess.Popen(command, cwd=project.folder, stdout=file, stderr=file)


def wait_for_checkpoint(process: subprocess.Popen, project, name: str) -> None:
    path = project.layout.checkpoint(project.run(name).id) / "checkpoint.safetensors"
    for _ in range(12000):
        if path.exists():
            return
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.01)
    raise AssertionError("no checkpoint came")


@pytest.mark.parametrize(
    ("name", "number", "code"),
    [("npgd-long", signal.SIGTERM, 75), ("npda-long", signal.SIGKILL, -signal.SIGKILL)],
)
def test_killed_and_started_again_gives_the_same_bits(name, number, code, small_project, tmp_path) -> None:
    log = tmp_path / "log"
    process = start(small_project, name, log)
    wait_for_checkpoint(process, small_project, name)
    with pytest.raises(RunLocked):
        small_project.train(name)
    process.send_signal(number)
    assert process.wait(timeout=200) == code
    output = log.read_text()
    assert "Traceback" not in output
    assert "robustfront.training.loop" in output
    assert "torch._dynamo" not in output, "importing the compiler takes seconds"
    if number == signal.SIGTERM:
        assert f"error: {small_project.run(name).id}: stopped at epoch" in output
    folder = small_project.layout.run(small_project.run(name).id)
    assert not folder.exists(), "it was to be killed while training"
    small_project.train(name)
    assert artefacts.read_json(folder / "manifest.json")["resumed"] is True

    resumed = weights.load_weights(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    small_project.train(name)
    assert artefacts.read_json(folder / "manifest.json")["resumed"] is False
    undisturbed = weights.load_weights(folder / "model.safetensors")
    assert resumed.keys() == undisturbed.keys()
    assert all((value == undisturbed[key]).all() for key, value in resumed.items())
