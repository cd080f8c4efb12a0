"""Attacks on trained models as configs, with what they cost: one file per idea. `evaluation` makes them."""

from robustfront.config.attacks.base import FINAL, EvaluationAttack, attacks
from robustfront.config.registry import read_package

__all__ = ["FINAL", "EvaluationAttack", "attacks"]

read_package(__path__, __name__)
