"""Vanilla-AT and CA-AT (S001): one step made of two gradients, the clean and the adversarial one.

g_c is the gradient of the cross entropy of the clean images, g_a that of an adversarial loss, each a single
vector over all parameters that are trained. Vanilla-AT weighs them (Eq. 2), CA-AT moves g_a onto a cone
around g_c (Eq. 4). docs/reproduction/ca-at.md has what the paper leaves open and where its code differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from robustfront import attacks, losses
from robustfront.config.quantities import Probability
from robustfront.config.schema import Config
from robustfront.methods import parts
from robustfront.methods.adversarial import AdversarialTraining
from robustfront.methods.base import AdversarialParams, Losses, Setting, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from robustfront.models import Classifier

TARGETS = 9
"""Wrong classes that T-APGD-DLR turns to; where there are fewer it takes all, and costs less than planned."""

UNITS = {"ce": 6, "trades": 8, "clp": 8}
"""Two forward passes and, of each loss, a backward pass through the images it looks at, in forward passes:
those of `trades` and `clp` look at the clean images, too."""


class TwoGradientParams(AdversarialParams):
    adversarial_loss: Literal["ce", "trades", "clp"] = Field(
        "ce",
        description="ce: cross entropy of the adversarial image; trades: KL divergence from the clean "
        "prediction; clp: distance between the softmaxes of both images",
    )
    inner: Literal["pgd", "pgd-dlr", "apgd-ce", "apgd-dlr", "t-apgd-dlr"] = Field(
        "pgd",
        description="pgd: the attack ascends the KL divergence of trades, for ce and clp cross entropy; "
        "the others what they are called after, APGD for `attack.steps` steps of its own sizes",
    )

    @model_validator(mode="after")
    def apgd_is_in_pixels(self) -> TwoGradientParams:
        if "apgd" in self.inner and self.threat.space != "pixel":
            raise ValueError(
                f"inner = '{self.inner}': APGD has one radius for all pixels; set threat.space to 'pixel', "
                "or inner to 'pgd' or 'pgd-dlr'"
            )
        return self

    @property
    def generator(self) -> parts.Generator:
        """What PGD ascends."""
        if self.inner == "pgd-dlr":
            return "dlr"
        return "trades" if self.adversarial_loss == "trades" else "pgd"

    @property
    def suffix(self) -> str:
        """What a run's label says of what is not the default."""
        loss = "" if self.adversarial_loss == "ce" else f"-{self.adversarial_loss}"
        return loss + ("" if self.inner == "pgd" else f"-{self.inner}")


def inner_maximum(
    params: TwoGradientParams,
    model: Classifier,
    ball: attacks.Ball,
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """x' (B, C, H, W) that `params.inner` crafts of images x; the model is in train mode afterwards."""
    if "apgd" not in params.inner:
        return parts.generate(
            params.generator,
            model,
            x,
            y,
            ball=ball,
            ascent=params.attack,
            mode=params.attack_mode,
            generator=generator,
        )
    from robustfront.attacks import adaptive

    model.train(params.attack_mode == "train")
    attacked = attacks.stand_in(model, x)
    how: dict[str, Any] = {"steps": params.attack.steps, "generator": generator}
    if params.inner == "t-apgd-dlr":
        x_adv = adaptive.targeted_apgd(attacked, x, y, ball, targets=TARGETS, **how)
    else:
        objective = attacks.objectives.ce if params.inner == "apgd-ce" else attacks.objectives.dlr
        x_adv = adaptive.apgd(attacked, x, y, ball, objective=objective, **how)
    model.train()
    return x_adv


def adversarial_losses(name: str, clean: Tensor, adversarial: Tensor, y: Tensor) -> Tensor:
    """The adversarial loss of each image (B,), from its logits and those of x'."""
    match name:
        case "ce":
            return losses.cross_entropy(adversarial, y)
        case "trades":
            return losses.kl_divergence(clean, adversarial)
        case _:
            return losses.distance(clean, adversarial)


@dataclass(frozen=True)
class Angle:
    """The lengths of g_c and g_a, and phi, the cosine between them, 0 where one is zero; float64 ()."""

    clean_norm: Tensor
    adversarial_norm: Tensor
    cosine: Tensor

    @classmethod
    def between(cls, clean: Mapping[str, Tensor], adversarial: Mapping[str, Tensor]) -> Angle:
        """Of two gradients that are given parameter by parameter."""
        import torch

        pairs = ((clean[name].double(), adversarial[name].double()) for name in clean)
        products = [torch.stack([(c * c).sum(), (a * a).sum(), (c * a).sum()]) for c, a in pairs]
        clean_square, adversarial_square, product = torch.stack(products).sum(dim=0).unbind()
        clean_norm, adversarial_norm = clean_square.sqrt(), adversarial_square.sqrt()
        lengths = clean_norm * adversarial_norm
        cosine = torch.where(lengths > 0, product / lengths, 0.0)
        return cls(clean_norm, adversarial_norm, cosine.clamp(-1, 1))

    @property
    def conflict(self) -> Tensor:
        """mu = |g_c| |g_a| (1 - phi), S001 section 3.1."""
        return self.clean_norm * self.adversarial_norm * (1 - self.cosine)

    def projection(self, gamma: float) -> Tensor:
        """k of Eq. 4, for gamma < 1: g_a + k g_c has the cosine gamma with g_c. 0 where g_c is zero."""
        import torch

        sine, width = (1 - self.cosine * self.cosine).sqrt(), math.sqrt(1 - gamma * gamma)
        k = self.adversarial_norm * (gamma * sine - self.cosine * width) / (self.clean_norm * width)
        return torch.where(self.clean_norm > 0, k, 0.0)


class TwoGradients(AdversarialTraining):
    """What Vanilla-AT and CA-AT share: both gradients, each backward pass made once, and what is logged.

    The losses in history.csv are the clean and the adversarial one as they are, and `train_loss` their sum.
    """

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        names = ("steps", "cosine", "conflict", "of_clean", "of_adversarial")
        self._sums = {name: self.model.mean.new_zeros(()).double() for name in names}

    @classmethod
    def composed(cls, params: Any) -> tuple[parts.Generator, str]:
        return params.generator, params.adversarial_loss

    @classmethod
    def units(cls, params: Any) -> float:
        generator, loss = cls.composed(params)
        steps = params.attack.steps
        match params.inner:
            case "pgd" | "pgd-dlr":
                attack = parts.generation_units(generator, steps)
            case "apgd-ce" | "apgd-dlr":
                attack = 2 * (steps + 1)
            case "t-apgd-dlr":
                attack = TARGETS * 2 * (steps + 1) + 1
        return attack + UNITS[loss]

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        return inner_maximum(self.params, self.model, self.ball, x, y, at.generator)

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        clean, adversarial = self.model(x), self.model(x_adv)
        robust = adversarial_losses(self.params.adversarial_loss, clean, adversarial, y)
        return Losses(
            {"clean_loss": losses.cross_entropy(clean, y).mean(), "adversarial_loss": robust.mean()},
            clean_logits=clean,
            adversarial_logits=adversarial,
        )

    def combine(self, losses: Losses, at: Moment) -> None:
        clean, adversarial = self.parts_gradients(losses, at).values()
        angle = Angle.between(clean, adversarial)
        of_clean, of_adversarial = self.weights(angle)
        self.write_gradients(
            {name: of_clean * clean[name] + of_adversarial * adversarial[name] for name in clean}
        )
        step = (1, angle.cosine, angle.conflict, of_clean, of_adversarial)
        for total, value in zip(self._sums.values(), step, strict=True):
            total.add_(value)

    def weights(self, angle: Angle) -> tuple[Tensor | float, Tensor | float]:
        """How much of g_c and of g_a the step takes."""
        raise NotImplementedError

    def means(self) -> dict[str, float]:
        """Of the angle and the weights over the steps of an epoch. Reading them resets them."""
        sums = {name: total.item() for name, total in self._sums.items()}
        for total in self._sums.values():
            total.zero_()
        steps = max(sums.pop("steps"), 1)
        return {name: value / steps for name, value in sums.items()}

    def diagnostics(self, at: Moment) -> dict[str, float]:
        """`gradient_cosine` phi and `gradient_conflict` mu, means over the steps."""
        means = self.means()
        return {"gradient_cosine": means["cosine"], "gradient_conflict": means["conflict"]}

    # The gradients are the whole batch's, so every process has the same sums: none is to be added to another.
    def state(self) -> dict[str, Tensor]:
        return dict(self._sums)

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, total in self._sums.items():
            total.copy_(state[name])


class VanillaParams(TwoGradientParams):
    adversarial_weight: Probability = Field(description="lambda of Eq. 2: 0, the clean loss alone, to 1")

    @property
    def label(self) -> str:
        """With a note where the step takes nothing of any loss that knows the labels."""
        unlabelled = self.adversarial_weight == 1 and self.adversarial_loss != "ce"
        return f"vanilla-at-l{self.adversarial_weight:g}{self.suffix}{'-no-labels' if unlabelled else ''}"


@register("vanilla_at", source="S001 section 3.1, Eq. 2", label=lambda p: p.label)
class VanillaAT(TwoGradients):
    """Vanilla-AT: a step along (1 - lambda) g_c + lambda g_a, the gradient of the weighted losses."""

    Params: ClassVar[type[Config]] = VanillaParams

    def weights(self, angle: Angle) -> tuple[Tensor | float, Tensor | float]:
        return 1 - self.params.adversarial_weight, self.params.adversarial_weight


class ConflictAwareParams(TwoGradientParams):
    gamma: Probability = Field(
        description="cosine between the step and the clean gradient, which a larger one of the adversarial "
        "gradient leaves to the clean gradient alone; 1: always alone"
    )

    @property
    def label(self) -> str:
        return f"ca-at-g{self.gamma:g}{self.suffix}{'-clean-only' if self.gamma == 1 else ''}"


@register("ca_at", source="S001 section 4, Eq. 4, Algorithm 1", label=lambda p: p.label)
class ConflictAwareAT(TwoGradients):
    """CA-AT: a step along g_a + k g_c, at the cosine gamma with g_c, or along g_c where phi is above gamma.

    With gamma = 1, for which k is infinite, every step is along g_c, the limit of the direction.
    """

    Params: ClassVar[type[Config]] = ConflictAwareParams

    def weights(self, angle: Angle) -> tuple[Tensor | float, Tensor | float]:
        import torch

        gamma = self.params.gamma
        if gamma == 1:
            return 1.0, 0.0
        projected = angle.cosine <= gamma
        return torch.where(projected, angle.projection(gamma), 1.0), projected.double()

    def diagnostics(self, at: Moment) -> dict[str, float]:
        """Besides phi and mu `clean_gradient_share`, of the steps, those along g_c, and `projection_weight`.

        That is the mean of k over the other steps; there is none where all were along g_c.
        """
        means = self.means()
        projected = means["of_adversarial"]
        found = {
            "gradient_cosine": means["cosine"],
            "gradient_conflict": means["conflict"],
            "clean_gradient_share": 1 - projected,
        }
        if projected:
            found["projection_weight"] = (means["of_clean"] - (1 - projected)) / projected
        return found
