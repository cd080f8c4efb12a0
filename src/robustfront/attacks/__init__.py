"""Attacks: maps (model, x, y) to x' inside a threat model.

Names are loaded on first use, so that importing the package, as every method file does, imports no torch.
What few need is imported by its full name: AutoAttack's front end, `robustfront.attacks.autoattack`, and APGD
for training, `robustfront.attacks.adaptive`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustfront.attacks import objectives
    from robustfront.attacks.ball import Ball
    from robustfront.attacks.engine import frozen, input_gradient, iterates, pgd, until_fallen
    from robustfront.attacks.standin import compile_stand_ins, release_stand_ins, stand_in

__all__ = [
    "Ball",
    "compile_stand_ins",
    "frozen",
    "input_gradient",
    "iterates",
    "objectives",
    "pgd",
    "release_stand_ins",
    "stand_in",
    "until_fallen",
]

_MODULES = {
    "Ball": "ball",
    "compile_stand_ins": "standin",
    "frozen": "engine",
    "input_gradient": "engine",
    "iterates": "engine",
    "objectives": "objectives",
    "pgd": "engine",
    "release_stand_ins": "standin",
    "stand_in": "standin",
    "until_fallen": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return module if name == _MODULES[name] else getattr(module, name)
