"""Adversarial weight perturbation (Wu et al. 2020) on PGD-AT and on TRADES.

The loss of a step is taken at w + v, where v = gamma |w| g / |g| for every matrix of weights w, g being its
gradient of that same loss: convolutions and linear layers, not batch norms and biases. The step starts at w.
The L2 penalty is taken at w + v as well, as in the authors' code, whose optimiser steps there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront.config.quantities import Positive, Share
from robustfront.config.schema import Config
from robustfront.methods.adversarial import PGDAT, TRADES, AdversarialTraining, BetaParams
from robustfront.methods.base import AdversarialParams, Losses, Surroundings, register
from robustfront.methods.moment import Moment
from robustfront.methods.perturbation import perturbed, unmoved

if TYPE_CHECKING:
    from torch import Tensor

SOURCE = "Wu, Xia & Wang 2020, arXiv 2004.05884"

LEAST_NORM = 1e-20
"""Added to |g|, as in the authors' code."""


class Perturbed(AdversarialTraining):
    """A method of adversarial training whose gradients are taken at perturbed weights."""

    surroundings: Surroundings

    @classmethod
    def units(cls, params: Any) -> float:
        """One more forward and backward pass of what the loss is of."""
        attack = super().units(params)
        return attack + (6 if cls.loss == "trades" else 3)

    def attach(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings

    def gradients(self, x: Tensor, y: Tensor, at: Moment) -> Losses:
        if at.epoch < self.params.warmup * at.epochs:
            return super().gradients(x, y, at)
        x_adv = at.crafted(self.craft, x, y)
        deltas = self.perturbation(x, x_adv, y, at)
        with perturbed(self.model, deltas):
            with at.forward():
                losses = self.losses(x, x_adv, y, at)
            self.combine(losses, at)
        self._penalise(deltas)
        return losses

    def perturbation(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> dict[str, Tensor]:
        """v of each matrix of weights, by name; the running statistics stay where they are."""
        weights = {name: value for name, value in self.model.named_parameters() if value.ndim > 1}
        with unmoved(self.model):
            with at.forward():
                loss = self.losses(x, x_adv, y, at).total
            gradients = at.gradients(loss, list(weights.values()))
        return {
            name: self.params.gamma * weight.detach().norm() / (g.norm() + LEAST_NORM) * g
            for (name, weight), g in zip(weights.items(), gradients, strict=True)
        }

    def _penalise(self, deltas: dict[str, Tensor]) -> None:
        """Adds the difference that v makes to the gradient of the L2 penalty."""
        groups = self.surroundings.optimizer.param_groups
        decay = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
        for name, parameter in self.model.named_parameters():
            if name in deltas and parameter.grad is not None:
                parameter.grad.add_(deltas[name], alpha=decay[parameter])


class AWPParams(AdversarialParams):
    gamma: Positive = Field(0.01, description="size of the perturbation, relative to the weights")
    warmup: Share = Field(0.0, description="share of the training before which weights are not perturbed")


@register("awp", source=SOURCE, label=lambda p: f"awp-g{p.gamma:g}")
class AWP(Perturbed, PGDAT):
    """AT-AWP: PGD adversarial training at weights that are perturbed against it."""

    Params: ClassVar[type[Config]] = AWPParams


class TRADESAWPParams(BetaParams):
    beta: Positive = Field(6.0, description="weight of the adversarial term")
    gamma: Positive = Field(0.005, description="size of the perturbation, relative to the weights")
    warmup: Share = Field(0.05, description="share of the training before which weights are not perturbed")


@register("trades_awp", source=SOURCE, label=lambda p: f"trades-awp-b{p.beta:g}-g{p.gamma:g}")
class TRADESAWP(Perturbed, TRADES):
    """TRADES-AWP: TRADES at weights that are perturbed against it."""

    Params: ClassVar[type[Config]] = TRADESAWPParams
