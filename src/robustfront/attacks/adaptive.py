"""APGD (Croce & Hein 2020, Algorithm 1) as a training attack: every image is attacked to the end.

What training asks for is the largest loss in the ball, of every image. So none is left out once it has
fallen, as in AutoAttack, and x' is the best point of the ascent, whether it is classified wrongly or not. The
step sizes are the algorithm's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.attacks.ball import Ball
from robustfront.attacks.draws import Source, draw
from robustfront.attacks.engine import frozen
from robustfront.attacks.objectives import Objective
from robustfront.attacks.standard.apgd import Loss, climb, random_start, targeted_dlr
from robustfront.attacks.standard.problem import Network, Problem
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.models import Classifier


def apgd(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    *,
    steps: int,
    objective: Objective,
    generator: Source | None = None,
) -> Tensor:
    """x' (B, C, H, W) with the largest `objective` met in one ascent of `steps` steps.

    The model's mode is the caller's business. ValueError for a ball that is not in pixels.
    """
    search = _Search(model, x, labels, ball, steps, generator)
    x_adv, _ = search.climbed(labels, lambda logits, labels, targets: objective(logits, labels))
    return x_adv


def targeted_apgd(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    *,
    steps: int,
    targets: int,
    generator: Source | None = None,
) -> Tensor:
    """x' (B, C, H, W) with the largest targeted DLR loss met in an ascent for each of `targets` classes.

    They are the likeliest wrong ones of the image; all of them where there are fewer. ConfigError below 4
    classes, as the loss refers to the fourth logit; ValueError as in `apgd`.
    """
    if model.classes < 4:
        raise ConfigError(
            f"the targeted DLR loss needs 4 classes or more, not {model.classes}; set inner to 'apgd-ce'"
        )
    search = _Search(model, x, labels, ball, steps, generator)
    with torch.no_grad():
        wrong = search.problem.exact(x).scatter(1, labels[:, None], -float("inf"))
    best, largest = x, wrong.new_full((len(x),), -float("inf"))
    for aims in wrong.topk(min(targets, model.classes - 1), dim=1).indices.unbind(dim=1):
        x_adv, values = search.climbed(aims, targeted_dlr)
        best = torch.where((values > largest).view(-1, 1, 1, 1), x_adv, best)
        largest = values.maximum(largest)
    return best


class _Search:
    """Ascents on a batch, in the precision of the training around it."""

    def __init__(
        self, model: Classifier, x: Tensor, labels: Tensor, ball: Ball, steps: int, generator: Source | None
    ) -> None:
        threat = ball.threat
        if threat.space != "pixel":
            raise ValueError(
                f"APGD knows one radius for all pixels, and the ball is in space '{threat.space}'"
            )
        self.model, self.x, self.labels, self.steps, self.generator = model, x, labels, steps, generator
        network = _in_present_precision(model, x)
        self.problem = Problem(network, network, threat.norm, threat.eps)

    def climbed(self, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        """The best points and their losses, from a start of its own."""
        problem, x = self.problem, self.x
        start = random_start(problem, x, lambda kind: draw(kind, x, self.generator))
        with frozen(self.model), torch.autocast(x.device.type, enabled=False):
            return climb(problem, x, self.labels, targets, loss, start=start, steps=self.steps)


def _in_present_precision(model: Classifier, x: Tensor) -> Network:
    """Forward passes under the autocast of now, wherever they are made; logits are float32 at least."""
    kind = x.device.type
    dtype, enabled = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    def logits(points: Tensor) -> Tensor:
        with torch.autocast(kind, dtype, enabled=enabled):
            return losses.widen(model(points))

    return logits
