"""Optimisers as configs: one file per idea. What they compute is `training.optimizers`."""

from robustfront.config.optimizers.base import Optimizer, OptimizerConfig, optimizers
from robustfront.config.registry import read_package

__all__ = ["Optimizer", "OptimizerConfig", "optimizers"]

read_package(__path__, __name__)
