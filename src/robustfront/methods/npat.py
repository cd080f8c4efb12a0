"""Null-space projected adversarial training (S000): NPDA projects the attack, NPGD the head's update.

Both use P = I - V V^T of the head of the high-accuracy model they start from, and the TRADES loss outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from robustfront import attacks
from robustfront.config.quantities import NonNegative
from robustfront.config.schema import Config
from robustfront.errors import ConfigError
from robustfront.methods import parts
from robustfront.methods.base import AdversarialParams, Losses, Method, Setting, Surroundings, register
from robustfront.methods.drift import Start
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor

    from robustfront.attacks.engine import FeatureGradient

ROUNDING = 1e-6
"""A projected feature gradient below this share of the unprojected one is rounding noise.

While W = W_std, float32 leaves a share of 1e-7 (6e-7 at most, over heads of up to 1000 classes). After one
optimiser step of a fine-tuning it is about 1e-5, and it grows with every step.
"""


class NPATParams(AdversarialParams):
    generator: parts.Generator = Field(description="what the training attack ascends")
    beta: NonNegative = Field(description="weight of the adversarial term of the TRADES loss")


class NPAT(Method):
    """What NPDA and NPGD share: a generator of choice, the TRADES loss, a look at Remark 3.1 each epoch."""

    needs_null_space: ClassVar[bool] = True
    per_image: ClassVar[bool] = True

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        if setting.null_space is None:
            raise ConfigError("methods 'npda' and 'npgd' need the null space of the head they start from")
        self.null_space = setting.null_space.to(self.model.mean.device)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)
        self.feature_gradient: FeatureGradient | None = None
        # W_std: a method is made while the model holds its initial weights, also when a training is resumed
        self._start_weight = self.model.head.weight.detach().clone()
        self._start: Start | None = None

    @classmethod
    def units(cls, params: Any) -> float:
        return parts.generation_units(params.generator, params.attack.steps) + parts.outer_units("trades")

    @classmethod
    def validation_units(cls, params: Any) -> float:
        return 1

    def attach(self, surroundings: Surroundings) -> None:
        self._start = Start(self.model, surroundings.validation.images)

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        return parts.trades(self.model, x, x_adv, y, self.params.beta)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        return parts.generate(
            self.params.generator,
            self.model,
            x,
            y,
            ball=self.ball,
            ascent=self.params.attack,
            mode=self.params.attack_mode,
            generator=at.generator,
            feature_gradient=self.feature_gradient,
        )

    def diagnostics(self, at: Moment) -> dict[str, float]:
        """`head_offset_in_row_space`, and on the validation images the quantities of `Drift.summary`."""
        offset = self.null_space.offset_in_row_space(self.model.head.weight, self._start_weight)
        drift = self._start.drift(self.model).summary(self.null_space) if self._start else {}
        return {"head_offset_in_row_space": offset} | drift


class NPDAParams(NPATParams):
    zero_start: Literal["hold", "raw"] = Field(
        "hold",
        description="projected gradient that is only rounding noise (as at the first step, where W = W_std): "
        "hold the image still, or follow the noise's sign",
    )


@register("npda", source="S000 section 3.1, Algorithm 1", label=lambda p: f"npda-{p.generator}-b{p.beta:g}")
class NPDA(NPAT):
    """Null-space projected data augmentation: dL/dh is projected onto Null(W_std) inside every attack step.

    With h the penultimate features and J = dh/dx, the step follows J^T P dL/dh (Eq. 13, 14; Algorithm 1 line
    10), in the attack's one backward pass.
    """

    Params: ClassVar[type[Config]] = NPDAParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.feature_gradient = self._project
        self._norm_sum = self.model.mean.new_zeros(()).double()
        self._share_sum = self.model.mean.new_zeros(()).double()
        self._count = self.model.mean.new_zeros(()).double()

    def _project(self, gradient: Tensor) -> Tensor:
        """P g for g = dL/dh (B, D), of each image's own loss.

        The epoch's means of |P g| and of |P g| / |g| are logged as `projected_gradient_norm` and `_share`.
        """
        projected = self.null_space.project(gradient)
        norm = projected.norm(dim=1)
        share = norm / gradient.norm(dim=1).clamp_min(1e-30)
        self._norm_sum += norm.sum()
        self._share_sum += share.sum()
        self._count += len(share)
        if self.params.zero_start == "hold":
            projected = projected * (share > ROUNDING).unsqueeze(1)
        return projected

    def sums(self) -> list[Tensor]:
        return [self._norm_sum, self._share_sum, self._count]

    def diagnostics(self, at: Moment) -> dict[str, float]:
        norm, share = (
            (total / self._count.clamp_min(1)).item() for total in (self._norm_sum, self._share_sum)
        )
        for total in self.sums():
            total.zero_()
        return {"projected_gradient_norm": norm, "projected_gradient_share": share} | super().diagnostics(at)

    def state(self) -> dict[str, Tensor]:
        return {"norm_sum": self._norm_sum, "share_sum": self._share_sum, "count": self._count}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._norm_sum.copy_(state["norm_sum"])
        self._share_sum.copy_(state["share_sum"])
        self._count.copy_(state["count"])


class NPGDParams(NPATParams):
    bias: Literal["frozen", "free"] = Field(
        "frozen",
        description="the head's bias, about which the paper is silent: frozen keeps Eq. 15's constraint",
    )


@register("npgd", source="S000 section 3.2, Algorithm 2", label=lambda p: f"npgd-{p.generator}-b{p.beta:g}")
class NPGD(NPAT):
    """Null-space projected gradient descent: the head moves only inside Null(W_std).

    The paper projects the gradient (Eq. 17). Weight decay would still leave the null space, and rounding adds
    up; so the offset W - W_std itself is projected after each step, which equals projecting every update.
    """

    Params: ClassVar[type[Config]] = NPGDParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self._start_bias = self.model.head.bias.detach().clone()

    def after_step(self, at: Moment) -> None:
        weight, bias = self.model.head.weight.detach(), self.model.head.bias.detach()  # share their memory
        weight.copy_(self._start_weight + self.null_space.project(weight - self._start_weight))
        if self.params.bias == "frozen":
            bias.copy_(self._start_bias)
