"""Optimisers as configs: one file per idea. What they compute is `training.optimizers`."""

from robustfront.config.optimizers.adam import Adam, AdamW
from robustfront.config.optimizers.base import OptimizerConfig
from robustfront.config.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "OptimizerConfig"]
