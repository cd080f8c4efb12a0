"""The l2 attack of Carlini & Wagner on all images of an evaluation."""

import torch
from torch import Tensor

from robustfront.attacks import Ball, frozen, objectives
from robustfront.attacks.draws import ByPosition
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.cw import CWEvaluation
from robustfront.evaluation.target import Target
from robustfront.models import Classifier

INSIDE = 0.999999
"""Of the way to the edge of the box: the arctanh of the edge itself is infinite (as in the authors' code)."""


def attack(settings: CWEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W): of `steps` points, the first being the image, the nearest wrong
    one in the ball; the image itself, moved into the box, where there is none."""

    def perturb(x: Tensor, labels: Tensor, generator: ByPosition) -> Tensor:
        return _nearest(on.model, x, labels, on.ball, settings)[None]

    with frozen(on.model):
        return on.by_image(perturb, (FINAL,))


def _nearest(model: Classifier, x: Tensor, labels: Tensor, ball: Ball, settings: CWEvaluation) -> Tensor:
    """Carlini & Wagner 2017, section VI.A, with f_6 and a constant c; lengths in the threat's space."""
    found = ball.project(x, x)
    middle, half = (ball.high + ball.low) / 2, (ball.high - ball.low) / 2
    w = torch.atanh(INSIDE * (found - middle) / half).requires_grad_()
    adam = torch.optim.Adam([w], lr=settings.lr)
    least = x.new_full((len(x),), float("inf"))
    centre = found
    for _ in range(settings.steps):
        with torch.enable_grad():
            point = middle + half * torch.tanh(w)
            logits = model(point)
            distance = ((point - centre) / ball.scale).square().sum(dim=(1, 2, 3))
            excess = (settings.kappa - objectives.margin(logits, labels)).clamp(min=0)
            (w.grad,) = torch.autograd.grad((distance + settings.c * excess).sum(), w)
        point, distance = point.detach(), distance.detach()
        counts = (logits.argmax(dim=1) != labels) & ball.contains(point, x) & (distance < least)
        least = torch.where(counts, distance, least)
        found = torch.where(counts.view(-1, 1, 1, 1), point, found)
        adam.step()
    return found
