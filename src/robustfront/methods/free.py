"""Free adversarial training (Shafahi et al. 2019): every backward pass serves the weights and the attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import attacks, losses
from robustfront.config.quantities import Count, Length
from robustfront.config.schema import Config, Threat
from robustfront.methods.base import Losses, Method, Setting, Surroundings, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor


class FreeParams(Config):
    threat: Threat
    step_size: Length = Field(description="of each replay's step; in the paper eps")
    replay: Count = Field(8, description="m: steps in a row on each batch")


@register("free", source="Shafahi et al. 2019, arXiv 1904.12843", label=lambda p: f"free-m{p.replay}")
class Free(Method):
    """Free-m: m steps on each batch at x + d; the gradient of each moves d, which the next batch inherits."""

    Params: ClassVar[type[Config]] = FreeParams
    delta: Tensor

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)

    @classmethod
    def units(cls, params: Any) -> float:
        """One forward and backward pass, to the input as well, per replay."""
        return 3

    @classmethod
    def replays(cls, params: Any) -> int:
        return int(params.replay)

    def attach(self, surroundings: Surroundings) -> None:
        shape = surroundings.train.images.shape[1:]
        self.delta = self.model.mean.new_zeros(surroundings.training.batch_size, *shape)

    def gradients(self, x: Tensor, y: Tensor, at: Moment) -> Losses:
        delta = self.delta[: len(x)].clone().requires_grad_()
        with at.forward():
            logits = self.model((x + delta).clamp(self.ball.low, self.ball.high))
            found = Losses(
                {"adversarial_loss": losses.cross_entropy(logits, y).mean()}, adversarial_logits=logits
            )
        weights = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        *gradients, ascent = at.gradients(found.total, [*weights.values(), delta])
        self.write_gradients(dict(zip(weights, gradients, strict=True)))
        # within the ball alone: the box is that of the pixels it is added to, which the next batch has others
        origin = delta.detach().new_zeros(delta.shape)
        moved = self.ball.step(delta.detach(), ascent, self.params.step_size)
        radius = self.ball.eps * self.ball.scale
        self.delta[: len(x)] = moved.clamp(origin - radius, origin + radius)
        return found

    def state(self) -> dict[str, Tensor]:
        return {"delta": self.delta}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.delta = state["delta"].clone()
