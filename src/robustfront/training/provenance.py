"""What a run's manifest says about how its numbers came to be: code, libraries, machine, deviations from the paper."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import robustfront
from robustfront.config.schema import Run

_TRAINING_SOURCES = ("config/schema.py", "data", "models", "attacks", "losses", "methods", "training")
_LIBRARIES = ("torch", "torchvision", "numpy", "timm", "safetensors", "pyautoattack")


def versions() -> dict[str, str]:
    """Python and the libraries that decide a number."""
    found = {"python": platform.python_version(), "robustfront": robustfront.__version__}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit of the working directory, with "-dirty" if tracked files differ; None outside git."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def source_digest() -> str:
    """Hash of the package's sources that can change a training, so that runs made by other code can be told apart."""
    root = Path(robustfront.__file__).parent
    files = sorted(
        path
        for name in _TRAINING_SOURCES
        for path in (root / name, *(root / name).rglob("*.py"))
        if path.is_file()
    )
    total = hashlib.sha256()
    for path in dict.fromkeys(files):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def device_name(device: torch.device) -> str:
    """The accelerator's name, or the processor's with the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} thread(s)"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def initial_weights(run: Run) -> str:
    if run.init:
        return f"run {run.init}"
    if run.model.pretrained:
        return f"{run.model.pretrained} (timm), the stem from scratch"
    return f"from scratch, seed {run.seed}"


def deviations(run: Run) -> list[str]:
    """Where this run knowingly differs from S000."""
    found: list[str] = []
    if run.init is None and run.model.pretrained is None:
        found.append("S000 starts its standard models from ImageNet weights; this one starts from scratch")
    if run.dataset.name not in ("cifar10", "svhn"):
        found.append(f"S000 trains on CIFAR-10 and SVHN; this run on {run.dataset.name}")
    return found


def manifest(run_id: str, run: Run, *, device: torch.device, **measured: Any) -> dict[str, Any]:
    """The content of manifest.json; `measured` adds what only the caller knows."""
    return {
        "run": run_id,
        "method": run.method,
        "seed": run.seed,
        "robustfront": robustfront.__version__,
        "commit": commit(),
        "sources": source_digest(),
        "versions": versions(),
        "device": device_name(device),
        "init": run.init,
        "initial_weights": initial_weights(run),
        "deviations": deviations(run),
    } | measured
