import os
import subprocess
import sys

import pytest
import torch

from robustfront import devices
from robustfront.errors import ConfigError


@pytest.fixture
def unclaimed(monkeypatch):
    """No claims but those of the test, given up at its end."""
    claims = []
    monkeypatch.setattr(devices, "_claims", claims)
    yield
    for lock in claims:
        lock.release()


def test_jobs_of_one_machine_take_different_devices(tmp_path, unclaimed):
    assert [devices.claim(3, tmp_path) for _ in range(3)] == [0, 1, 2]


def test_a_device_is_free_again_when_its_job_is_killed(tmp_path, unclaimed):
    code = (
        "import sys, time; from pathlib import Path; from robustfront import devices;"
        "print(devices.claim(2, Path(sys.argv[1])), flush=True); time.sleep(60)"
    )
    job = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert job.stdout.readline() == "0\n"
        assert devices.claim(2, tmp_path) == 1
    finally:
        job.kill()
        job.wait()
    assert devices.claim(2, tmp_path) == 0


def test_devices_given_by_a_scheduler_are_counted_apart(tmp_path, unclaimed, monkeypatch):
    for visible in ("0", "1"):
        monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", visible)
        assert devices.claim(1, tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_without_cuda_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_named(wanted):
    with pytest.raises(ConfigError, match=wanted):
        devices.choose_device(wanted)


def test_convolutions_on_cuda_are_set_to_be_reproducible(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    devices.choose_device("cpu")
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.allow_tf32
