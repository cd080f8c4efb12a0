"""Adversarial training of S000's Table 1 that differs in generator and loss alone: PGD-AT, TRADES, SCORE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from robustfront import attacks
from robustfront.config.lasting import added
from robustfront.config.quantities import NonNegative, Share
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
    def composed(cls, params: Any) -> tuple[parts.Generator, str]:
        """Generator and loss: those of the class, unless a method's parameters decide."""
        return cls.generator, cls.loss

    @classmethod
    def units(cls, params: Any) -> float:
        generator, loss = cls.composed(params)
        return parts.generation_units(generator, params.attack.steps) + parts.outer_units(loss)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        generator, _ = self.composed(self.params)
        return parts.generate(
            generator,
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


@register("trades", source="Zhang et al. 2019, arXiv 1901.08573", label=lambda p: f"trades-b{p.beta:g}")
class TRADES(AdversarialTraining):
    """TRADES: clean cross entropy plus beta times the KL divergence to the adversarial prediction."""

    Params: ClassVar[type[Config]] = BetaParams
    generator: parts.Generator = "trades"
    loss = "trades"

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        return parts.trades(self.model, x, x_adv, y, self.params.beta)


class ScoreParams(AdversarialParams):
    mode: Literal["trades", "pgd"] = added(
        "trades",
        before="trades",
        description="trades: clean error and distance from the clean prediction, which the attack ascends; "
        "pgd: error of the adversarial image, which the attack ascends",
    )
    beta: NonNegative | None = Field(None, description="weight of the distance, which mode trades has")
    label_smoothing: Share = added(
        0.0, before=0.0, description="share of the label that goes to the other classes, evenly"
    )
    clip: Share = added(
        0.0,
        before=0.0,
        description="losses below that of a prediction that leaves this share to the other classes, evenly, "
        "count as 0; 0: none",
    )
    clipped: parts.Clipped | None = added(
        None, before=None, description="what `clip` is of, in mode trades: error + beta distance, or distance"
    )

    @model_validator(mode="after")
    def all_that_is_given_has_an_effect(self) -> ScoreParams:
        if self.mode == "pgd":
            for key in ("beta", "clipped"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key}: mode 'pgd' has one term, the adversarial error; remove it")
        elif self.beta is None:
            raise ValueError("beta: missing; mode 'trades' needs the weight of its second term")
        elif self.clip and self.clipped is None:
            raise ValueError(
                f"clipped: missing; say of what clip = {self.clip:g} is: 'sum', SCORE's own, or 'distance'"
            )
        elif self.clipped is not None and not self.clip:
            raise ValueError(
                f"clipped = '{self.clipped}': nothing is clipped while clip is 0; set it, or remove this"
            )
        return self


@register(
    "score",
    source="Pang et al. 2022, arXiv 2202.10103",
    label=lambda p: "score-pgd" if p.mode == "pgd" else f"score-b{p.beta:g}",
)
class SCORE(AdversarialTraining):
    """SCORE: the squared-error analogue of TRADES, or of PGD-AT, self-consistent in its robust error.

    docs/reproduction/score.md says how its published recipes are written down.
    """

    Params: ClassVar[type[Config]] = ScoreParams

    @classmethod
    def composed(cls, params: Any) -> tuple[parts.Generator, str]:
        return ("lse", "lse") if params.mode == "pgd" else ("score", "score")

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        params = self.params
        shaped = {"smoothing": params.label_smoothing, "clip": params.clip}
        if params.mode == "pgd":
            return parts.adversarial_squared_error(self.model, x_adv, y, **shaped)
        return parts.score(self.model, x, x_adv, y, params.beta, clipped=params.clipped, **shaped)
