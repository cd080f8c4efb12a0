"""What a manifest says of how a run's numbers came to be: code, libraries, machine, deviations from S000."""

import hashlib
import importlib.metadata
import inspect
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import robustfront
from robustfront.config.schema import Run
from robustfront.methods.base import Entry

_SOURCES = (
    "config/schema.py",
    "losses.py",
    *(f"{part}/*.py" for part in ("data", "models", "attacks", "methods", "training")),
)
"""What can change a training; patterns in the package's folder."""

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


def source_digest(method: Entry) -> str:
    """Hash of the sources that can change a training by `method`; runs made by other code can be told apart.

    They are the package's, and the method's own file if it lies elsewhere.
    """
    root = Path(robustfront.__file__).parent
    files = {path for pattern in _SOURCES for path in root.glob(pattern)}
    own = Path(inspect.getfile(method.method))
    total = hashlib.sha256()
    for path in [*sorted(files), *([own] if own not in files else [])]:
        name = path.relative_to(root).as_posix() if path in files else path.name
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
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
    """Where the weights came from that the training started with."""
    if run.init:
        return f"run {run.init}"
    if run.model.pretrained:
        return f"{run.model.pretrained} (timm), the stem from scratch"
    return f"from scratch, seed {run.seed}"


def deviations(run: Run) -> list[str]:
    """Where this run knowingly differs from S000 (section 4; epochs: Figure 4; features: Table 2)."""
    found = []
    if run.dataset.source not in ("cifar10", "svhn"):
        found.append(f"S000 trains on CIFAR-10 and SVHN; this run on {run.dataset.name}")
    if run.dataset.splits.train is not None:
        found.append(
            f"S000 trains on the whole training set; this run on {run.dataset.splits.train} images of it"
        )
    if run.model.pretrained is None:
        found.append("S000 starts its standard models from ImageNet weights; here they start from scratch")
    if run.model.hidden is None and 8 * run.model.width != 512:
        found.append(f"S000's network has 512 features; this one {8 * run.model.width}")
    if run.training.epochs != 200:
        found.append(f"S000 trains for 200 epochs; this run for {run.training.epochs}")
    threat, attack = run.params.get("threat"), run.params.get("attack")
    if threat and (threat["norm"], threat["eps"], threat["space"]) != ("linf", 10 / 255, "normalised"):
        found.append(
            "S000 trains against linf 10/255 = 0.0392 of the normalised image; "
            f"this run against {threat['norm']} {threat['eps']:.4g}, {threat['space']}"
        )
    if attack and (attack["steps"], attack["step_size"], attack["start"]) != (10, 2 / 255, "gaussian"):
        found.append(
            "S000 attacks by 10 steps of 2/255 = 0.00784 from a gaussian start; "
            f"this run by {attack['steps']} of {attack['step_size']:.4g}, start: {attack['start']}"
        )
    return found


def manifest(
    run_id: str, run: Run, method: Entry, *, device: torch.device, **measured: Any
) -> dict[str, Any]:
    """The content of manifest.json; `measured` adds what only the caller knows."""
    return {
        "run": run_id,
        "method": run.method,
        "seed": run.seed,
        "robustfront": robustfront.__version__,
        "commit": commit(),
        "sources": source_digest(method),
        "versions": versions(),
        "device": device_name(device),
        "init": run.init,
        "initial_weights": initial_weights(run),
        "deviations": deviations(run),
    } | measured
