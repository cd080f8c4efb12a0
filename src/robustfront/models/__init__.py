"""Networks with `features(x)` and `head`, how they are built from configs, and the null space of a head.

`build` and `Classifier` load on first use: a method's file may name them without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustfront.models.classifier import Classifier
    from robustfront.models.factory import build

__all__ = ["Classifier", "build"]

_HOME = {"Classifier": "classifier", "build": "factory"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
