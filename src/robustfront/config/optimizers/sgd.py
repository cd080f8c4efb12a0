"""Stochastic gradient descent."""

from typing import Literal

from pydantic import model_validator

from robustfront.config.lasting import added
from robustfront.config.optimizers.base import OptimizerConfig
from robustfront.config.quantities import Flag, Share


class SGD(OptimizerConfig):
    kind: Literal["sgd"] = added("sgd", before="sgd")
    momentum: Share = 0.9
    nesterov: Flag = False

    @model_validator(mode="after")
    def nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self
