import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from types import SimpleNamespace

import pytest
import torch

from robustfront import devices
from robustfront.errors import ConfigError, OutOfMemory

_FORK = multiprocessing.get_context("fork")  # torch is imported already: a job starts in milliseconds


class Job:
    """A process that sees GPUs of the given uuids, takes one as any job does, and holds it until killed."""

    def __init__(self, uuids: tuple[str, ...], slurm: bool, count: int) -> None:
        self.said, told = _FORK.Pipe(duplex=False)
        self.process = _FORK.Process(target=self._run, args=(uuids, slurm, count, told), daemon=True)
        self.process.start()
        told.close()

    @staticmethod
    def _run(uuids: tuple[str, ...], slurm: bool, count: int, told: Connection) -> None:
        torch.cuda.device_count = lambda: len(uuids)
        torch.cuda.get_device_properties = lambda index: SimpleNamespace(uuid=uuids[index])
        torch.cuda.get_device_capability = lambda device: (9, 0)
        os.environ.pop("SLURM_JOB_ID", None)
        if slurm:
            os.environ["SLURM_JOB_ID"] = "7"
        sys.stderr = SimpleNamespace(write=lambda text: text.strip() and told.send(text), flush=lambda: None)
        taken = devices.choose_devices("auto", count) if count > 1 else [devices.choose_device("auto")]
        told.send(" ".join(uuids[device.index] for device in taken))
        _FORK.Event().wait()

    def says(self) -> str:
        """The next thing it tells: the GPU it has, or that it waits."""
        assert self.said.poll(30), "said nothing for 30 s"
        return self.said.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts jobs; their claims lie in a folder of the test's."""
    monkeypatch.setattr(devices.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "_claims", [])
    monkeypatch.setattr(devices, "_POLL_SECONDS", 0.05)
    jobs = []

    def start(*uuids: str, slurm: bool = False, count: int = 1) -> Job:
        jobs.append(Job(uuids, slurm, count))
        return jobs[-1]

    yield start
    for job in jobs:
        job.kill()


def test_jobs_of_one_machine_take_different_gpus_and_one_too_many_waits(start):
    jobs = {job.says(): job for job in [start("a", "b", "c") for _ in range(3)]}
    assert sorted(jobs) == ["a", "b", "c"]
    late = start("a", "b", "c")
    assert "hold all 3 GPU(s)" in late.says()
    jobs["b"].kill()  # -9: nothing of ours runs any more, the kernel frees the claim
    assert late.says() == "b"


def test_a_job_that_needs_two_gpus_holds_none_until_both_are_free(start):
    first = start("a", "b", "c", "d", count=2)
    assert first.says() == "a b"
    other = start("a", "b", "c", "d")
    assert other.says() == "c"
    late = start("a", "b", "c", "d", count=2)
    assert "leave fewer than 2 GPUs free" in late.says()
    assert start("a", "b", "c", "d").says() == "d"
    first.kill()
    assert late.says() == "a b"


@pytest.mark.parametrize(("wanted", "count"), [("cuda:1", 2), ("auto", 3)])
def test_devices_that_are_not_there_are_named(wanted, count, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=f"--devices {count}"):
        devices.choose_devices(wanted, count)
    assert devices.choose_devices("cpu", 2) == [torch.device("cpu")] * 2


def test_many_jobs_that_start_at_once_never_share(start):
    uuids = [f"gpu-{number}" for number in range(12)]
    assert sorted(job.says() for job in [start(*uuids) for _ in uuids]) == sorted(uuids)


def test_a_gpu_is_known_by_its_uuid_whatever_number_it_is_given(start):
    assert start("a", "b").says() == "a"
    assert start("b", "a").says() == "b"
    assert "hold all 1 GPU(s)" in start("a").says()


def test_the_gpu_that_slurm_gave_is_taken_without_asking(start):
    assert start("a").says() == "a"
    assert start("a", slurm=True).says() == "a"


def test_several_gpus_of_one_slurm_job_are_shared_out(start):
    assert sorted(job.says() for job in [start("a", "b", slurm=True) for _ in range(2)]) == ["a", "b"]


def test_a_gpu_asked_for_by_number_is_the_users_own_choice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "_usable", lambda device: device)
    assert devices.choose_device("cuda:1") == torch.device("cuda:1")


def test_without_cuda_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_named(wanted):
    with pytest.raises(ConfigError, match=wanted):
        devices.choose_device(wanted)


def test_convolutions_on_cuda_are_set_to_be_reproducible(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    devices.round_to_tf32(True)
    devices.choose_device("cpu")
    assert torch.backends.cudnn.deterministic
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_before_torch_2_9_the_old_switches_are_set(monkeypatch):
    cudnn, cuda = SimpleNamespace(allow_tf32=True), SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True))
    monkeypatch.setattr(torch, "backends", SimpleNamespace(cudnn=cudnn, cuda=cuda))
    devices.round_to_tf32(False)
    assert not cudnn.allow_tf32
    assert not cuda.matmul.allow_tf32
    devices.round_to_tf32(True)
    assert cudnn.allow_tf32
    assert not cuda.matmul.allow_tf32


@pytest.mark.parametrize(
    ("capability", "built", "told"),
    [
        ((7, 0), ["sm_75", "sm_90", "compute_90"], "capability is 7.0, .* from 7.5 on"),
        ((9, 0), ["sm_100", "sm_120a"], "capability is 9.0, .* from 10.0 on"),
        ((9, 0), ["sm_75", "sm_86"], None),
        ((9, 0), [], None),
    ],
)
def test_a_gpu_too_old_for_this_build_of_torch_is_told_at_once(monkeypatch, capability, built, told):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    if told is None:
        assert devices.choose_device("cuda:0") == torch.device("cuda:0")
    else:
        with pytest.raises(ConfigError, match=told):
            devices.choose_device("cuda:0")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_an_allocation_that_fails_names_the_setting_to_lower(error):
    with (
        pytest.raises(OutOfMemory, match=r"a-run: out of memory on cpu; lower batch_size in params\.yaml"),
        devices.enough_memory("a-run", torch.device("cpu"), "batch_size"),
    ):
        raise error


def test_other_errors_are_left_as_they_are():
    with (
        pytest.raises(RuntimeError, match="shapes differ"),
        devices.enough_memory("a-run", torch.device("cpu"), "batch_size"),
    ):
        raise RuntimeError("shapes differ")
