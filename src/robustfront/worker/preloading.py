"""Which modules a verb needs: the worker imports them once, when the first job of that verb comes."""

import importlib
import pkgutil
from collections.abc import Sequence

from robustfront import methods

_ALL = (
    "robustfront.cli",
    "robustfront.planning.sources",
    *(f"robustfront.methods.{module.name}" for module in pkgutil.iter_modules(methods.__path__)),
)
_TRAINING = (
    "robustfront.training.session",
    "robustfront.training.launch",
    "robustfront.attacks.engine",
    "robustfront.attacks.standin",
    "robustfront.models.factory",
)
_REPORT = ("robustfront.studies.report", "robustfront.studies.assemble", "robustfront.reporting.contents")
_NOTEBOOK = ("jupytext", "nbformat", "papermill", "nbconvert", "robustfront.reporting.notebook_engine")

MODULES = {
    "prepare": ("robustfront.planning.files", "robustfront.upkeep.neighbours"),
    "data": ("robustfront.data.store",),
    "train": _TRAINING,
    "projector": ("robustfront.models.nullspace", "robustfront.models.weights", "robustfront.devices"),
    "evaluate": (
        "robustfront.evaluation.session",
        "robustfront.evaluation.making",
        "robustfront.evaluation.masking",
    ),
    "analyse": ("robustfront.analysis.session",),
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
