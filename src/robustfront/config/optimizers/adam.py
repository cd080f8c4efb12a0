"""Adam (Kingma & Ba 2015), and with decoupled weight decay AdamW (Loshchilov & Hutter 2019)."""

from typing import Literal

from pydantic import Field

from robustfront.config.optimizers.base import OptimizerConfig
from robustfront.config.quantities import Positive, Share


class Adam(OptimizerConfig):
    """Weight decay is added to the gradient."""

    kind: Literal["adam"] = "adam"
    momentum: Share = Field(0.9, description="beta1, which a schedule may move")
    beta2: Share = 0.999
    epsilon: Positive = 1e-8


class AdamW(OptimizerConfig):
    """Weights shrink by lr * weight_decay, whatever the gradient."""

    kind: Literal["adamw"] = "adamw"
    momentum: Share = Field(0.9, description="beta1, which a schedule may move")
    beta2: Share = 0.999
    epsilon: Positive = 1e-8
