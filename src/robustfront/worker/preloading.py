"""Which modules a verb needs: the worker imports them once, when the first job of that verb comes."""

import importlib
import pkgutil
from collections.abc import Sequence

import robustfront


def _found(package: str) -> tuple[str, ...]:
    """The modules of one of our packages, which is not imported for that: what config finds by name."""
    (folder,) = robustfront.__path__
    inside = pkgutil.iter_modules([f"{folder}/{package}"])
    return tuple(f"robustfront.{package.replace('/', '.')}.{module.name}" for module in inside)


_ALL = ("robustfront.cli", "robustfront.planning.sources", *_found("methods"))
_NETWORKS = _found("models")
_TRAINING = (
    "robustfront.training.session",
    "robustfront.training.launch",
    "robustfront.attacks.engine",
    "robustfront.attacks.standin",
    *_NETWORKS,
    *_found("training/optimizers"),
)
_REPORT = ("robustfront.studies.report", "robustfront.studies.assemble", "robustfront.reporting.contents")
_NOTEBOOK = ("jupytext", "nbformat", "papermill", "nbconvert", "robustfront.reporting.notebook_engine")

MODULES = {
    "prepare": ("robustfront.planning.files", "robustfront.upkeep.neighbours"),
    "data": ("robustfront.data.store", *_found("data/readers")),
    "train": _TRAINING,
    "projector": (
        "robustfront.devices",
        *_NETWORKS,
    ),
    "evaluate": (
        "robustfront.evaluation.session",
        "robustfront.evaluation.making",
        "robustfront.evaluation.masking",
        *_NETWORKS,
        *_found("evaluation/attacks"),
    ),
    "analyse": ("robustfront.analysis.session", *_NETWORKS, *_found("analysis")),
    "report": (*_REPORT, *_NOTEBOOK),
    "contents": _REPORT,
}
"""Verb -> modules, beside those that all need. No method, study or extension of a user's is among them."""


def preload(words: Sequence[str]) -> bool:
    """Imports what a job with these arguments needs; whether that can be had, and has not been lost."""
    try:
        for module in (*_ALL, *(module for word in words for module in MODULES.get(word, ()))):
            importlib.import_module(module)
    except Exception:  # the job will say it better
        return False
    return True
