"""Standard training, the source of the high-accuracy models `st` and `lse st` of S000."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from robustfront import losses
from robustfront.config.schema import Config
from robustfront.methods.base import Losses, Method, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor


class StandardParams(Config):
    loss: Literal["ce", "lse"] = Field(
        "ce",
        description="cross entropy, or squared distance of softmax and one-hot label (SCORE's clean term)",
    )


@register("standard", source="S000 section 4.1", label=lambda params: f"standard-{params.loss}")
class Standard(Method):
    """Training on clean images only."""

    Params: ClassVar[type[Config]] = StandardParams
    budget: ClassVar[Literal["standard", "adversarial"]] = "standard"
    per_image: ClassVar[bool] = True

    @classmethod
    def units(cls, params: Any) -> float:
        return 3

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        logits = self.model(x)
        per_sample = losses.cross_entropy if self.params.loss == "ce" else losses.squared_error
        return Losses({"clean_loss": per_sample(logits, y).mean()}, clean_logits=logits)
