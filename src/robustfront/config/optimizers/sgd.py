"""Stochastic gradient descent."""

from typing import ClassVar, Literal

from pydantic import model_validator

from robustfront.config.lasting import added
from robustfront.config.optimizers.base import OptimizerConfig, optimizers
from robustfront.config.quantities import Flag, Share


@optimizers.register
class SGD(OptimizerConfig):
    built_by: ClassVar[str] = "robustfront.training.optimizers.sgd:SGD"

    kind: Literal["sgd"] = added("sgd", before="sgd")
    momentum: Share = 0.9
    nesterov: Flag = False

    @model_validator(mode="after")
    def nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self
