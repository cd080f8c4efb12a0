"""Class balance by constraints, the core of FRL (Xu et al. 2021), on which CAAT is built.

Before every epoch the validation images give each class its clean error and its boundary error (error under
attack minus clean error). A class violates its constraint by g_c = e_c - e - delta: its error less the
overall one, less the excess that is tolerated. Multipliers lambda follow the violations; weights and radii
follow them:

    lambda_clean    <- L(lambda_clean    +     r g_clean)     L: negative entries to 0, then scaled down
    lambda_boundary <- L(lambda_boundary + 2 r g_boundary)       until the sum is at most `multiplier_limit`
    lambda_margin   <-   lambda_margin   + r' g_boundary

    weight of class c in either loss: 1/C + lambda_c - (1/C) sum_j lambda_j       (Reweight)
    radius of class c: eps * exp(2 lambda_margin_c), the factor being clamped     (Remargin)

As in the authors' code (fair_robust), r is halved every `rate_halving` epochs, r' never is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from robustfront import attacks
from robustfront.config.lasting import added
from robustfront.config.quantities import Count, Flag, NonNegative, Positive, Probability, ProperFraction
from robustfront.methods.base import AdversarialParams, Method, Setting, Surroundings
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from robustfront.config.schema import Ascent, Threat
    from robustfront.data.store import Split
    from robustfront.models import Classifier

BATCH = 500
"""Validation images per forward pass."""


class BalanceParams(AdversarialParams):
    beta: NonNegative = Field(1.5, description="weight of the adversarial term")
    reweight: Flag = Field(True, description="weigh the losses by class; false: all classes alike")
    remargin: Flag = Field(True, description="a radius per class; false: eps for all")
    clean_bound: Probability = Field(
        0.07, description="delta: excess of a class's clean error over the overall one that is tolerated"
    )
    boundary_bound: Probability = Field(0.07, description="the same for the boundary error")
    weight_rate: Positive = Field(
        0.05, description="r: step of the clean multipliers; those of the boundary error take twice this step"
    )
    rate_halving: Count = Field(40, description="weight_rate is halved every so many epochs")
    margin_rate: Positive = Field(0.2, description="r': step of the multipliers behind the radii")
    multiplier_limit: ProperFraction = Field(
        0.5, description="largest sum of the clean, and of the boundary, multipliers"
    )
    eps_factor_min: Positive = Field(0.98, description="smallest radius of a class, as a multiple of eps")
    eps_factor_max: Positive = Field(2.5, description="largest radius of a class, as a multiple of eps")
    validation_steps: Count = Field(
        20,
        description="PGD steps on the validation images before each epoch, of attack.step_size, from a "
        "uniform start, in the threat model of training.validation",
    )
    divide_validation: Flag = added(
        True,
        before=False,
        description="learn from one half of the validation images and select the model on the other; false: "
        "both on all of them, which favours the epochs that fit them best",
    )

    @model_validator(mode="after")
    def factors_in_order(self) -> BalanceParams:
        if self.eps_factor_min > self.eps_factor_max:
            raise ValueError("eps_factor_min is above eps_factor_max")
        return self


class ClassBalanced(Method):
    """A method with `clean_weights`, `boundary_weights` and radii `eps * eps_factors`, by class, (C,)."""

    params: BalanceParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        mean = self.model.mean
        self.ball = attacks.Ball.of(params.threat, mean, self.model.std)
        self.validation_ball = self.ball
        self.errors = mean.new_zeros(2, self.model.classes).double()
        self.multipliers = mean.new_zeros(3, self.model.classes).double()
        self._apply_multipliers()

    @classmethod
    def validation_units(cls, params: Any) -> float:
        return 1 + 2 * params.validation_steps + 1

    @classmethod
    def learns_from_validation(cls, params: Any) -> bool:
        return bool(params.divide_validation)

    @classmethod
    def ascents(cls, params: Any, judged: Threat | None) -> Mapping[str, tuple[Ascent, Threat]]:
        counting = cls.counting(params), judged or params.threat
        return {**super().ascents(params, judged), "validation_steps": counting}

    @staticmethod
    def counting(params: BalanceParams) -> Ascent:
        """The attack under which class errors are counted on validation images."""
        return params.attack.model_copy(
            update={"steps": params.validation_steps, "start": "uniform", "restarts": 1}
        )

    def attach(self, surroundings: Surroundings) -> None:
        threat = surroundings.training.validation.threat
        if threat is not None:
            self.validation_ball = attacks.Ball.of(threat, self.model.mean, self.model.std)

    def start_epoch(self, validation: Split, at: Moment) -> None:
        """Judges the model on the validation images by class, and moves multipliers, weights and radii."""
        ascent = self.counting(self.params)
        counts = count_errors(self.model, validation, self.validation_ball, ascent, at.generator)
        bounds = self.errors.new_tensor([[self.params.clean_bound], [self.params.boundary_bound]])
        self.errors, violations = constraint_violations(counts, bounds)
        rate = self.params.weight_rate / 2 ** ((at.epoch + 1) // self.params.rate_halving)
        self.multipliers = updated_multipliers(
            self.multipliers,
            violations,
            weight_rate=rate,
            margin_rate=self.params.margin_rate,
            limit=self.params.multiplier_limit,
        )
        self._apply_multipliers()

    def _apply_multipliers(self) -> None:
        params, like_images = self.params, self.model.mean
        clean, boundary, margin = self.multipliers
        factors = (2 * margin).exp().clamp(params.eps_factor_min, params.eps_factor_max)
        if not params.reweight:
            clean = boundary = clean.new_zeros(len(clean))
        if not params.remargin:
            factors = factors.new_ones(len(factors))
        self.clean_weights = class_weights(clean).to(like_images)
        self.boundary_weights = class_weights(boundary).to(like_images)
        self.eps_factors = factors.to(like_images)

    def diagnostics(self, at: Moment) -> dict[str, float]:
        """What the epoch was trained with. A class weight is relative to 1/C, that of perfect balance."""
        worst_clean, worst_boundary = self.errors.amax(dim=1).tolist()
        largest = max(float(self.clean_weights.max()), float(self.boundary_weights.max()))
        return {
            "worst_class_clean_error": worst_clean,
            "worst_class_boundary_error": worst_boundary,
            "largest_class_weight": self.model.classes * largest,
            "largest_eps_factor": float(self.eps_factors.max()),
        }

    def state(self) -> dict[str, Tensor]:
        return {"multipliers": self.multipliers, "class_errors": self.errors}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.multipliers, self.errors = state["multipliers"].clone(), state["class_errors"].clone()
        self._apply_multipliers()


def count_errors(
    model: Classifier, split: Split, ball: attacks.Ball, ascent: Ascent, generator: torch.Generator
) -> Tensor:
    """Per class: images, those misclassified when clean, those misclassified under PGD; float64 (3, C).

    In eval mode; the model's mode is put back.
    """
    import torch

    from robustfront.data.augment import to_float

    was_training = model.training
    model.eval()
    counts = model.mean.new_zeros(3, model.classes).double()
    for start in range(0, len(split), BATCH):
        y = split.labels[start : start + BATCH]
        images = to_float(split.images[start : start + BATCH])
        x = images.to(model.mean).contiguous(memory_format=torch.channels_last)
        x_adv = attacks.pgd(model, x, y, ball, ascent, generator=generator)
        with torch.no_grad():
            wrong = [model(view).argmax(dim=1) != y for view in (x, x_adv)]
        for row, hits in zip(counts, (torch.ones_like(y), *wrong), strict=True):
            row.index_add_(0, y, hits.double())
    model.train(was_training)
    return counts


def constraint_violations(counts: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Clean and boundary errors by class, (2, C), and by how much they violate their constraints, (2, C).

    `counts` (3, C) is what `count_errors` returns, `bounds` (2, 1) the tolerated excess. The boundary error
    is the error under attack less the clean one. A class without images is given the overall error.
    """
    import torch

    images, clean, robust = counts
    errors = torch.stack([clean, robust - clean])
    overall = errors.sum(dim=1, keepdim=True) / images.sum()
    by_class = torch.where(images > 0, errors / images.clamp_min(1), overall)
    return by_class, by_class - overall - bounds


def updated_multipliers(
    multipliers: Tensor, violations: Tensor, *, weight_rate: float, margin_rate: float, limit: float
) -> Tensor:
    """One step of the multipliers (3, C), rows clean, boundary, margin, along the violations (2, C)."""
    import torch

    clean, boundary, margin = multipliers
    return torch.stack(
        [
            _limited(clean + weight_rate * violations[0], limit),
            _limited(boundary + 2 * weight_rate * violations[1], limit),
            margin + margin_rate * violations[1],
        ]
    )


def _limited(multipliers: Tensor, limit: float) -> Tensor:
    positive = multipliers.clamp_min(0)
    return positive * (limit / positive.sum().clamp_min(limit))


def class_weights(multipliers: Tensor) -> Tensor:
    """Weights (C,) that sum to 1: 1/C if the multipliers are equal, positive if their sum is below 1."""
    return multipliers + (1 - multipliers.sum()) / len(multipliers)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum(w v) / sum(w) over a batch."""
    return (weights * values).sum() / weights.sum()
