"""Which device a job computes on, so that jobs of one machine share its GPUs out, and in what arithmetic."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from filelock import BaseFileLock, Timeout

from robustfront import cores
from robustfront.errors import NoDevice, OutOfMemory
from robustfront.locks import lock_at

_POLL_SECONDS = 2.0
_NO_MEMORY = "out of memory|can't allocate memory|ALLOC_FAILED"

_claims: list[BaseFileLock] = []
"""Held until the process ends; the kernel frees them however it ends."""


def choose_device(wanted: str) -> torch.device:
    """The device asked for; `auto` is a CUDA device that no other job of ours holds, or else the CPU.

    Convolutions on CUDA become deterministic and float32 (by default they are rounded to TF32's 10 bits).
    From here on torch computes in as many threads as this job was given cores.
    NoDevice where the device does not exist.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::([0-9]+))?", wanted)
    if match is None:
        raise NoDevice(f"--device {wanted}: must be auto, cpu, cuda or cuda:N")
    _use_cores()
    torch.backends.cudnn.deterministic = True
    round_to_tf32(False)
    present = torch.cuda.device_count()
    if wanted == "auto":
        return _usable(torch.device("cuda", *_share(present))) if present else torch.device("cpu")
    if wanted == "cpu":
        return torch.device(wanted)
    if int(match[1] or 0) >= present:
        raise NoDevice(f"--device {wanted}: this machine has {present} CUDA device(s); use --device cpu")
    return _usable(torch.device(wanted))


def round_to_tf32(convolutions: bool) -> None:
    """Whether float32 convolutions on CUDA are rounded to TF32's 10 bits; products of matrices never are.

    By the switches of torch 2.9 where it has them, as setting those of before beside them raises.
    """
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        torch.backends.cudnn.conv.fp32_precision = "tf32" if convolutions else "ieee"  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = "ieee"
    else:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cuda.matmul.allow_tf32 = False


def _usable(device: torch.device) -> torch.device:
    """The device. NoDevice where this build of torch has no kernels for it, which it would say much later."""
    major, minor = torch.cuda.get_device_capability(device)
    kinds = [
        re.fullmatch(r"(?:sm|compute)_([0-9]+?)([0-9])[a-z]?", name) for name in torch.cuda.get_arch_list()
    ]
    known = sorted((int(kind[1]), int(kind[2])) for kind in kinds if kind)
    if known and (major, minor) < known[0]:
        oldest = ".".join(map(str, known[0]))
        raise NoDevice(
            f"--device {device}: its compute capability is {major}.{minor}, and this build of torch "
            f"({torch.__version__}) has kernels from {oldest} on; install one for older GPUs, or --device cpu"
        )
    return device


def choose_devices(wanted: str, count: int) -> list[torch.device]:
    """`count` devices for one training: CUDA devices that no other job of ours holds, or the CPU repeatedly.

    NoDevice where the machine has fewer, or `wanted` names a single one.
    """
    _use_cores()
    present = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and not present):
        return [choose_device("cpu")] * count
    if wanted not in ("auto", "cuda"):
        raise NoDevice(f"--devices {count}: --device {wanted} is a single one; leave either out")
    if count > present:
        raise NoDevice(f"--devices {count}: this machine has {present} CUDA device(s)")
    return [torch.device("cuda", index) for index in _share(present, count)]


def _use_cores() -> None:
    """By a call: a forked job has another OMP_NUM_THREADS than the process that imported torch."""
    if torch.get_num_threads() != (count := cores.threads()):
        torch.set_num_threads(count)


def _share(present: int, count: int = 1) -> list[int]:
    """The indices of `count` devices that are ours alone."""
    if present == count and "SLURM_JOB_ID" in os.environ:
        return list(range(count))  # SLURM gave this job them, and may have given them to another on purpose
    names = [str(torch.cuda.get_device_properties(index).uuid) for index in range(present)]
    return _claim(names, count)


def _claim(devices: list[str], count: int = 1) -> list[int]:
    """The indices of the first `count` of `devices` that no other process of this user holds; now held.

    A device is named by its uuid, not its number, which CUDA_VISIBLE_DEVICES changes. Waits, having said so,
    until as many are free, holding none meanwhile.
    """
    folder = Path(tempfile.gettempdir())
    told = False
    while True:
        held: dict[int, BaseFileLock] = {}
        for index, name in enumerate(devices):
            lock = lock_at(folder / f"robustfront-{os.getuid()}-{name}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                held[index] = lock
            if len(held) == count:
                _claims.extend(held.values())
                return list(held)
        for lock in held.values():
            lock.release()
        if not told:
            text = f"other robustfront jobs hold all {len(devices)} GPU(s) of this machine: waiting for one"
            if count > 1:
                text = f"other robustfront jobs leave fewer than {count} GPUs free on this machine: waiting"
            print(text, file=sys.stderr, flush=True)
            told = True
        time.sleep(_POLL_SECONDS)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: torch has a class for CUDA alone, elsewhere the message says it."""
    return isinstance(error, MemoryError) or bool(re.search(_NO_MEMORY, str(error), re.IGNORECASE))


@contextlib.contextmanager
def enough_memory(job: str, device: torch.device, setting: str) -> Iterator[None]:
    """An allocation that fails becomes OutOfMemory, which says which `setting` of params.yaml to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"{job}: out of memory on {device}; lower {setting} in params.yaml, or use a device with more "
            "memory"
        ) from error
