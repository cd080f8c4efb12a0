"""Adversarial training of S000's Table 1 that differs in generator and loss alone: PGD-AT, TRADES, SCORE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import attacks
from robustfront.config.quantities import NonNegative
from robustfront.config.schema import Config
from robustfront.methods import parts
from robustfront.methods.base import AdversarialParams, Losses, Method, Setting, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor


class AdversarialTraining(Method):
    """A method that crafts its images by `generator` and trains on `loss`."""

    per_image: ClassVar[bool] = True
    generator: parts.Generator
    loss: str

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)

    @classmethod
    def units(cls, params: Any) -> float:
        return parts.generation_units(cls.generator, params.attack.steps) + parts.outer_units(cls.loss)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        return parts.generate(
            self.generator,
            self.model,
            x,
            y,
            ball=self.ball,
            ascent=self.params.attack,
            mode=self.params.attack_mode,
            generator=at.generator,
        )


@register("pgd_at", source="Madry et al. 2018, arXiv 1706.06083")
class PGDAT(AdversarialTraining):
    """PGD adversarial training: minimise the cross entropy of PGD adversarial images."""

    Params: ClassVar[type[Config]] = AdversarialParams
    generator: parts.Generator = "pgd"
    loss = "ce"

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        return parts.adversarial_cross_entropy(self.model, x_adv, y)


class BetaParams(AdversarialParams):
    beta: NonNegative = Field(description="weight of the adversarial term")


def _beta_label(name: str) -> Any:
    return lambda params: f"{name}-b{params.beta:g}"


@register("trades", source="Zhang et al. 2019, arXiv 1901.08573", label=_beta_label("trades"))
class TRADES(AdversarialTraining):
    """TRADES: clean cross entropy plus beta times the KL divergence to the adversarial prediction."""

    Params: ClassVar[type[Config]] = BetaParams
    generator: parts.Generator = "trades"
    loss = "trades"

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        return parts.trades(self.model, x, x_adv, y, self.params.beta)


@register("score", source="Pang et al. 2022, arXiv 2202.10103", label=_beta_label("score"))
class SCORE(AdversarialTraining):
    """SCORE: the squared-error analogue of TRADES, self-consistent in its robust error."""

    Params: ClassVar[type[Config]] = BetaParams
    generator: parts.Generator = "score"
    loss = "score"

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        return parts.score(self.model, x, x_adv, y, self.params.beta)
