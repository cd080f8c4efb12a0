"""Once-for-all adversarial training, and models of one lambda: (1 - lambda) CE(x) + lambda CE(x').

Wang et al. 2020 (NeurIPS 33), as S002 asks for it. docs/reproduction/oat.md has what these leave open, and
where the public code does otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from robustfront import attacks, losses
from robustfront.config.quantities import Distinct, Probability
from robustfront.config.schema import Config
from robustfront.errors import ConfigError
from robustfront.methods import parts
from robustfront.methods.base import AdversarialParams, Losses, Method, Setting, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from robustfront.models import Classifier

DRAWN = (0.0, 0.4, 1.0, 0.1, 0.2, 0.3)
"""The paper's lambdas, as the public code draws from them: in the order of a Python set."""


class Weighted(Method):
    """What both methods share: PGD on the network as it is told, and the two cross entropies, weighed."""

    per_image: ClassVar[bool] = True

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)

    def attacked(self, network: Classifier, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        """x' for all of `x`, made on the network or a view of it."""
        return parts.generate(
            "pgd",
            network,
            x,
            y,
            ball=self.ball,
            ascent=self.params.attack,
            mode=self.params.attack_mode,
            generator=at.generator,
        )


class OnceForAllParams(AdversarialParams):
    lambdas: Distinct[Probability] = Field(DRAWN, description="what lambda is drawn from, in this order")
    sampling: Literal["image", "batch"] = Field(
        "image",
        description="a lambda for each image, of which the first of a batch get 0, a fair share of it, "
        "rounded up; or one for the whole batch",
    )


@register(
    "oat",
    source="Wang et al. 2020, NeurIPS 33; S002 section 4, Eq. 3",
    label=lambda p: "oat" if p.sampling == "image" else "oat-by-batch",
)
class OnceForAll(Weighted):
    """OAT: lambda drawn per image, told to the network, which is attacked where lambda > 0.

    The clean pass is made before the attack, as in the public code: in eval mode the attack sees the running
    statistics that it leaves.
    """

    Params: ClassVar[type[Config]] = OnceForAllParams

    def __init__(self, params: Any, setting: Setting) -> None:
        from robustfront.models.conditional import Conditional

        super().__init__(params, setting)
        if not isinstance(self.model, Conditional):
            raise ConfigError(
                "method 'oat': tells the network lambda, which this one cannot hear; use a conditional one, "
                "such as film_resnet with `film`, or for one lambda method mixed_at"
            )

    @classmethod
    def units(cls, params: Any) -> float:
        attacked = 1 - params.lambdas.count(0) / len(params.lambdas)
        return 3 + attacked * (parts.generation_units("pgd", params.attack.steps) + 3)

    def condition(self, y: Tensor, at: Moment) -> Tensor:
        from robustfront.attacks.draws import draw

        return draw(self.drawn, self.model.mean, at.generator, len(y))

    def drawn(self, shape: tuple[int], *, generator: torch.Generator | None, **options: Any) -> Tensor:
        """The lambdas of a whole batch, of shape (B,)."""
        import torch

        def chosen(values: tuple[float, ...], count: int) -> Tensor:
            index = torch.randint(len(values), (count,), generator=generator, device=options["device"])
            return torch.tensor(values, **options)[index]

        lambdas, (count,) = self.params.lambdas, shape
        if self.params.sampling == "batch":
            return chosen(lambdas, 1).expand(count)
        others = tuple(value for value in lambdas if value)
        zeros = math.ceil(count * (len(lambdas) - len(others)) / len(lambdas))
        zero = torch.zeros(zeros, **options)
        return torch.cat([zero, chosen(others, count - zeros)]) if others else zero

    def gradients(self, x: Tensor, y: Tensor, at: Moment) -> Losses:
        import torch

        assert at.condition is not None
        with at.forward():
            clean = self.model.given(at.condition)(x)
        x_adv = at.crafted(self.craft, x, y)
        clean_loss = (1 - at.condition) * losses.cross_entropy(clean, y)
        adversarial_loss = torch.zeros_like(clean_loss)
        chosen = at.condition.nonzero().flatten()
        if len(chosen):
            told = at.condition[chosen]
            with at.forward():
                adversarial = self.model.given(told)(x_adv)
            adversarial_loss = told * losses.cross_entropy(adversarial, y[chosen])
        elif self.params.sampling == "image" and any(self.params.lambdas):
            # the others would wait for it in every batch norm
            raise ConfigError(
                "method 'oat': of a batch this device got images with lambda = 0 alone; use fewer devices"
            )
        found = {"clean_loss": clean_loss.mean(), "adversarial_loss": adversarial_loss.sum() / len(y)}
        result = Losses(found, clean_logits=clean)
        self.combine(result, at)
        return result

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        """x' of the images with lambda > 0 alone, in their order."""
        from robustfront.attacks.draws import of_some

        assert at.condition is not None
        chosen = at.condition.nonzero().flatten()
        if not len(chosen):
            return x[:0]
        with of_some(at.generator, chosen):
            told = self.model.given(at.condition[chosen])
            return self.attacked(told, _laid_out_as(x, x[chosen]), y[chosen], at)


def _laid_out_as(x: Tensor, some: Tensor) -> Tensor:
    """`some` of the images `x`, channels-last where these are."""
    import torch

    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return some.contiguous(memory_format=torch.channels_last) if channels_last else some


class MixedParams(AdversarialParams):
    weight: Probability = Field(description="lambda, of the adversarial cross entropy; 0: no attack is made")


@register(
    "mixed_at",
    source="Wang et al. 2020, NeurIPS 33 (PGD-AT of one lambda); Goodfellow et al. 2015, Eq. of section 6",
    label=lambda p: f"mixed-at-l{p.weight:g}",
)
class Mixed(Weighted):
    """PGD-AT on (1 - lambda) CE(x) + lambda CE(x') with one lambda: what OAT stands beside.

    The adversarial pass comes first, as in the public code, which only running statistics tell.
    """

    Params: ClassVar[type[Config]] = MixedParams

    @classmethod
    def units(cls, params: Any) -> float:
        return 3 + (parts.generation_units("pgd", params.attack.steps) + 3 if params.weight else 0)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor | None:
        return self.attacked(self.model, x, y, at) if self.params.weight else None

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        weight = self.params.weight
        adversarial = None if x_adv is None else self.model(x_adv)
        clean = self.model(x)
        found = {"clean_loss": (1 - weight) * losses.cross_entropy(clean, y).mean()}
        if adversarial is not None:
            found["adversarial_loss"] = weight * losses.cross_entropy(adversarial, y).mean()
        return Losses(found, clean_logits=clean, adversarial_logits=adversarial)
