"""Which device a job computes on, so that jobs of one machine share its GPUs out, and in what arithmetic."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from robustfront.errors import ConfigError

_POLL_SECONDS = 2.0

_claims: list[FileLock] = []
"""Held until the process ends; the kernel frees them however it ends."""


def choose_device(wanted: str) -> torch.device:
    """The device asked for; `auto` is a CUDA device that no other job of ours holds, or else the CPU.

    Convolutions on CUDA become deterministic and float32 (by default they are rounded to TF32's 10 bits).
    ConfigError where the device does not exist.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::([0-9]+))?", wanted)
    if match is None:
        raise ConfigError(f"--device {wanted}: must be auto, cpu, cuda or cuda:N")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    present = torch.cuda.device_count()
    if wanted == "auto":
        return torch.device("cuda", _share(present)) if present else torch.device("cpu")
    if wanted != "cpu" and int(match[1] or 0) >= present:
        raise ConfigError(f"--device {wanted}: this machine has {present} CUDA device(s); use --device cpu")
    return torch.device(wanted)


def _share(present: int) -> int:
    """The index of a device that is ours alone."""
    if present == 1 and "SLURM_JOB_ID" in os.environ:
        return 0  # SLURM gave this job a device, and may have given it to another one on purpose
    return _claim([str(torch.cuda.get_device_properties(index).uuid) for index in range(present)])


def _claim(devices: list[str]) -> int:
    """The index of the first of `devices` that no other process of this user holds, held from now on.

    A device is named by its uuid, not its number, which CUDA_VISIBLE_DEVICES changes. Waits, having said so,
    while all are held.
    """
    folder = Path(tempfile.gettempdir())
    locks = [FileLock(folder / f"robustfront-{os.getuid()}-{name}.lock") for name in devices]
    told = False
    while True:
        for index, lock in enumerate(locks):
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                _claims.append(lock)
                return index
        if not told:
            text = f"other robustfront jobs hold all {len(devices)} GPU(s) of this machine: waiting for one"
            print(text, file=sys.stderr, flush=True)
            told = True
        time.sleep(_POLL_SECONDS)
