"""Vanilla-AT of a linear model with its inner maximum in closed form (S001, Eq. 3 and Appendix B).

Of two classes the loss of an image is log(1 + exp(-m)), m the logit of its class less the other one. Within
|e|_inf <= delta the largest loss is that of m - delta |w|_1, w the gradient of m to the pixels. As in the
paper x + e may leave the box of valid images: with it Eq. 3 would be another formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import losses
from robustfront.config.quantities import Length, Probability
from robustfront.config.schema import Config
from robustfront.errors import ConfigError
from robustfront.methods.base import Losses, Method, Setting, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor

    from robustfront.models import Classifier


class LinearParams(Config):
    adversarial_weight: Probability = Field(0.5, description="lambda of Eq. 3")
    delta: Length = Field(description="radius in every pixel")


@register(
    "linear_at", source="S001 Eq. 3", label=lambda p: f"linear-at-l{p.adversarial_weight:g}-d{p.delta:g}"
)
class LinearAT(Method):
    """Minimises lambda log(1 + exp(-m + delta |w|_1)) + (1 - lambda) log(1 + exp(-m)), a linear model's."""

    Params: ClassVar[type[Config]] = LinearParams
    per_image: ClassVar[bool] = True

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        require_linear(setting.model)

    @classmethod
    def units(cls, params: Any) -> float:
        return 3

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        logits, weight = self.model(x), self.params.adversarial_weight
        adversarial = worst_logits(self.model, logits, y, self.params.delta)
        return Losses(
            {
                "clean_loss": (1 - weight) * losses.cross_entropy(logits, y).mean(),
                "adversarial_loss": weight * losses.cross_entropy(adversarial, y).mean(),
            },
            clean_logits=logits,
            adversarial_logits=adversarial,
        )


def require_linear(model: Classifier) -> None:
    """ConfigError unless the model is one linear layer of two classes."""
    from robustfront.models.linear import Linear

    if not isinstance(model, Linear) or model.classes != 2:
        raise ConfigError("the inner maximum has a closed form for `arch: linear` and two classes alone")


def worst_logits(model: Classifier, logits: Tensor, y: Tensor, delta: float) -> Tensor:
    """Logits (B, 2) at the worst point within delta in every pixel: that of the class is lower."""
    channels = (1, model.mean.shape[1], -1)
    slopes = (model.head.weight[1] - model.head.weight[0]).view(channels) / model.std.view(1, -1, 1)
    return logits.scatter_add(1, y[:, None], (-delta * slopes.abs().sum()).expand(len(y), 1))
