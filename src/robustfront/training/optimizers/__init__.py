"""Optimisers that can be built from their config (`config.optimizers`), one file per idea."""

from torch import nn

from robustfront.config.optimizers import OptimizerConfig
from robustfront.config.registry import resolve
from robustfront.training.optimizers.base import GroupedOptimizer


def optimizer_of(model: nn.Module, settings: OptimizerConfig) -> GroupedOptimizer:
    """The optimiser that `settings` describe, of the parameters of `model`."""
    found: GroupedOptimizer = resolve(settings.built_by, type(settings))(model, settings)
    return found
