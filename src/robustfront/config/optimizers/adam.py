"""Adam (Kingma & Ba 2015), and with decoupled weight decay AdamW (Loshchilov & Hutter 2019)."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.optimizers.base import OptimizerConfig, optimizers
from robustfront.config.quantities import Positive, Share


@optimizers.register
class Adam(OptimizerConfig):
    """Weight decay is added to the gradient."""

    built_by: ClassVar[str] = "robustfront.training.optimizers.adam:Adam"

    kind: Literal["adam"] = "adam"
    momentum: Share = Field(0.9, description="beta1, which a schedule may move")
    beta2: Share = 0.999
    epsilon: Positive = 1e-8


@optimizers.register
class AdamW(OptimizerConfig):
    """Weights shrink by lr * weight_decay, whatever the gradient."""

    built_by: ClassVar[str] = "robustfront.training.optimizers.adam:Adam"

    kind: Literal["adamw"] = "adamw"
    momentum: Share = Field(0.9, description="beta1, which a schedule may move")
    beta2: Share = 0.999
    epsilon: Positive = 1e-8
