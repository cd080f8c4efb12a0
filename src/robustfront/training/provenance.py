"""What a manifest says of how a run's numbers came to be: code, libraries, machine."""

import importlib.metadata
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

import robustfront
from robustfront import artefacts
from robustfront.config.schema import Run
from robustfront.revision import commit

_LIBRARIES = ("torch", "torchvision", "numpy", "timm", "safetensors", "pyautoattack")


def versions() -> dict[str, str]:
    """Python and the libraries that decide a number."""
    found = {"python": platform.python_version(), "robustfront": robustfront.__version__}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    if torch.version.cuda and torch.backends.cudnn.is_available():
        found |= {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version())}
    return found


def command() -> str:
    """What this process was started with."""
    return shlex.join(["robustfront", *sys.argv[1:]])


def ancestors(run: Run, runs: Path) -> dict[str, Any]:
    """Id -> config of the run this one starts from, of that one's start, and so on; from their manifests.

    `runs` is the folder of all runs. Stops where a manifest is missing or older than this.
    """
    if run.init is None or not (path := runs / run.init / "manifest.json").is_file():
        return {}
    parent = artefacts.read_json(path)
    return {run.init: parent["config"], **parent["ancestors"]} if "ancestors" in parent else {}


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
        return f"{run.model.pretrained}, the rest from scratch"
    return f"from scratch, seed {run.seed}"


def manifest(run_id: str, run: Run, *, sources: str, device: torch.device, **measured: Any) -> dict[str, Any]:
    """The content of manifest.json. `sources`: digest of the code; `measured`: what only the caller knows."""
    return {
        "run": run_id,
        "config": run.model_dump(mode="json"),
        "method": run.method,
        "seed": run.seed,
        "robustfront": robustfront.__version__,
        "commit": commit(),
        "sources": sources,
        "versions": versions(),
        "platform": platform.platform(),
        "device": device_name(device),
        "command": command(),
        "init": run.init,
        "initial_weights": initial_weights(run),
    } | measured
