"""Which device a job computes on, so that jobs of one machine share its GPUs out, and in what arithmetic."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from robustfront.errors import ConfigError

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
        return torch.device("cuda", claim(present)) if present else torch.device("cpu")
    if wanted != "cpu" and int(match[1] or 0) >= present:
        raise ConfigError(f"--device {wanted}: this machine has {present} CUDA device(s); use --device cpu")
    return torch.device(wanted)


def claim(present: int, folder: Path | None = None) -> int:
    """The first of `present` devices that no other process holds, held from now on; 0 if all are held.

    Indices count what this process sees: the lock is named after CUDA_VISIBLE_DEVICES, too.
    """
    visible = re.sub(r"[^0-9A-Za-z-]+", "_", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    for index in range(present):
        name = f"robustfront-{os.getuid()}-gpu-{visible}-{index}.lock"
        lock = FileLock((folder or Path(tempfile.gettempdir())) / name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _claims.append(lock)
        return index
    return 0
