"""Optimisers that can be built from their config (`config.optimizers`), one file per idea."""

from torch import nn

from robustfront.config import optimizers
from robustfront.config.optimizers import OptimizerConfig
from robustfront.training.optimizers.adam import Adam
from robustfront.training.optimizers.base import GroupedOptimizer
from robustfront.training.optimizers.sgd import SGD

KINDS: dict[type[OptimizerConfig], type[GroupedOptimizer]] = {
    optimizers.SGD: SGD,
    optimizers.Adam: Adam,
    optimizers.AdamW: Adam,
}


def optimizer_of(model: nn.Module, settings: OptimizerConfig) -> GroupedOptimizer:
    """The optimiser that `settings` describe, of the parameters of `model`."""
    return KINDS[type(settings)](model, settings)
