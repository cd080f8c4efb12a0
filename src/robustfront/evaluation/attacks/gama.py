"""GAMA-PGD on all images of an evaluation."""

from typing import Literal

import torch
from torch import Tensor

from robustfront import losses
from robustfront.attacks import Ball, frozen, input_gradient
from robustfront.attacks.draws import ByPosition
from robustfront.attacks.objectives import Objective
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.gama import GAMAEvaluation
from robustfront.config.schema import Ascent
from robustfront.evaluation.target import Target
from robustfront.models import Classifier


def attack(settings: GAMAEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W), by Sriramanan et al. 2020, Algorithm 1, as in the authors' code.

    A further restart attacks what stands.
    """

    def perturb(x: Tensor, labels: Tensor, generator: ByPosition) -> Tensor:
        found, standing = x.clone(), torch.arange(len(x), device=x.device)
        for restart in range(settings.restarts):
            x_adv = _ascend(on.model, x[standing], labels[standing], on.ball, settings, generator)
            found[standing] = x_adv
            if restart + 1 == settings.restarts:
                break
            with torch.no_grad():
                stands = on.model(x_adv).argmax(dim=1) == labels[standing]
            standing = standing[stands]
            generator.keep(stands)
            if not len(standing):
                break
        return found[None]

    with frozen(on.model):
        return on.by_image(perturb, (FINAL,))


def guided_margin(reference_logits: Tensor, weight: float) -> Objective:
    """max_{k != y} p_k - p_y + weight |p - p_ref|^2 on softmaxes, of any number of classes."""
    reference = losses.widen(reference_logits.detach()).softmax(dim=1)

    def objective(logits: Tensor, labels: Tensor) -> Tensor:
        p = losses.widen(logits).softmax(dim=1)
        own = p.gather(1, labels[:, None])
        other = p.scatter(1, labels[:, None], -1.0).amax(dim=1)
        return other - own.squeeze(1) + weight * losses.squared_norm(p - reference)

    return objective


def _ascend(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    settings: GAMAEvaluation,
    generator: ByPosition,
) -> Tensor:
    kind: Literal["sign", "uniform"] = "sign" if ball.threat.norm == "linf" else "uniform"
    eps = ball.threat.eps
    start = Ascent(steps=settings.steps, step_size=settings.step_size, start=kind, start_std=eps)
    x_adv = ball.start(x, start, generator)
    with torch.no_grad():
        reference = model(x_adv)
    size = settings.step_size
    for step in range(settings.steps):
        if step in settings.drops:
            size /= settings.drop
        weight = settings.weight * max(0.0, 1 - step / settings.weight_steps)
        gradient = input_gradient(model, x_adv, labels, guided_margin(reference, weight))
        x_adv = ball.project(ball.step(x_adv, gradient, size), x)
    return x_adv
