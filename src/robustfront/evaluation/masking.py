"""Checks that an attack fails because the model is robust and not because the attack is blind.

After Athalye et al. 2018 (section 3.1) and Carlini et al. 2019 (section 3): an attack that knows more, or may
do more, must not do worse. Each check gives a verdict, with the numbers in its detail. What that is worth on
so many images is left to readers (`verdicts`), and so is that AutoAttack is not weaker than other attacks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from robustfront.attacks import Ball, input_gradient
from robustfront.attacks.autoattack import square
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.autoattack import SQUARE_ROWS
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import MASKING_IMAGES
from robustfront.evaluation.batches import ascend, judge
from robustfront.evaluation.comparisons import compare, not_weaker, verdict
from robustfront.evaluation.outcomes import Verdict
from robustfront.evaluation.room import Room
from robustfront.evaluation.verdicts import BATCH, GRADIENTS, GROWING, TOLERATED_ZEROS
from robustfront.models.batch_norm import batch_statistics_layers

if TYPE_CHECKING:
    from robustfront.models import Classifier

STEPS, MORE_STEPS, QUERIES = 20, 50, 300
BLACK_BOX = "black-box not stronger than white-box"


def of_model(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    positions: Tensor,
    ball: Ball,
    *,
    seed: int,
    room: Room,
    counted: Tensor | None = None,
) -> list[Verdict]:
    """The checks, on the first `MASKING_IMAGES` of the given images, all classified correctly by the model.

    The reference attack is PGD with 20 steps of eps / 8 from a uniform start. Square is left out where the
    clip is not `image`, which it cannot respect, and does not apply to images lower than it can search. If
    predictions depend on the rest of the batch, nothing else is run, as it would mean nothing.

    With `counted`, (N,) bool, the images are whole batches for such a network: all are attacked together, and
    what becomes of those that count is looked at. Square, which leaves images out, does not apply.
    """
    layers, whole = batch_statistics_layers(model), counted is not None
    detail = f"batch norms without running statistics: {', '.join(layers) or 'none'}"
    detail += f"; attacked in whole batches of {room.size}" if whole else ""
    verdicts = [verdict(BATCH, None if whole else not layers, detail, 0)]
    if layers and not whole:
        return verdicts
    if counted is None:
        few = slice(MASKING_IMAGES)
        x, labels, positions = x[few], labels[few], positions[few]
        counted = torch.ones_like(labels, dtype=torch.bool)
    if not counted.any():
        return [*verdicts, verdict("images to attack", True, "no image is classified correctly", 0)]
    target = _Target(model, x, labels, positions, counted, seed, room)
    shorter, longer = f"PGD-{STEPS}", f"PGD-{MORE_STEPS}"
    fell, fell_longer = target.pgd(ball, STEPS), target.pgd(ball, MORE_STEPS)
    more_steps = not_weaker("more steps not weaker", longer, shorter, compare(fell_longer, fell))
    verdicts += [_gradients(target), more_steps]
    if whole:
        verdicts.append(verdict(BLACK_BOX, None, "Square leaves images out of a batch as they fall", 0))
    elif ball.threat.clip == "image" and x.shape[2] < (rows := SQUARE_ROWS[ball.threat.norm]):
        detail = f"Square needs images of {rows} pixels in height or more for {ball.threat.norm}"
        verdicts.append(verdict(BLACK_BOX, None, detail, 0))
    elif ball.threat.clip == "image":
        found = compare(fell_longer, target.square(ball))
        verdicts.append(not_weaker(BLACK_BOX, longer, f"Square-{QUERIES}", found))
    return [*verdicts, _growing_eps(target, ball)]


@dataclass(frozen=True)
class _Target:
    """A model and images. Attacks return which of those that are `counted` fell, bool.

    Those are classified correctly when clean.
    """

    model: Classifier
    x: Tensor
    labels: Tensor
    positions: Tensor
    counted: Tensor
    seed: int
    room: Room

    def pgd(self, ball: Ball, steps: int, start: Literal["none", "uniform"] = "uniform") -> np.ndarray:
        step_size = 2.5 * ball.threat.eps / STEPS
        attack = PGDEvaluation.model_validate({"steps": steps, "step_size": step_size, "start": start})
        x_adv = ascend(
            self.model, self.x, self.labels, self.positions, ball, attack, seed=self.seed, room=self.room
        )
        return self._fell(x_adv[FINAL])

    def square(self, ball: Ball) -> np.ndarray:
        def work(batch_size: int) -> Tensor:
            return square(
                self.model,
                self.x,
                self.labels,
                ball,
                queries=QUERIES,
                seed=self.seed,
                batch_size=batch_size,
            )

        return self._fell(self.room.whole(len(self.x), work))

    def _fell(self, x_adv: Tensor) -> np.ndarray:
        prediction, _ = judge(self.model, x_adv, self.labels, self.room)
        return (prediction != self.labels)[self.counted].cpu().numpy()


def _gradients(target: _Target) -> Verdict:
    def work(batch: slice) -> Tensor:
        gradient = input_gradient(target.model, target.x[batch], target.labels[batch])
        return (gradient == 0).flatten(1).all(dim=1)

    zero = torch.cat(target.room.pieces(len(target.x), work))[target.counted]
    share = zero.float().mean().item()
    detail = f"no gradient at {share:.1%} of {len(zero)} images; {TOLERATED_ZEROS:.0%} tolerated"
    return verdict(GRADIENTS, share <= TOLERATED_ZEROS, detail, len(zero))


def _growing_eps(target: _Target, ball: Ball) -> Verdict:
    """Where eps lets every image be turned into one and the same grey, no more than 1 of K may stand.

    Without a random start: at such radii noise fells images by itself, gradient or not.
    """
    per_pixel = 0.5 / ball.scale.expand_as(target.x[:1])
    erasing = (per_pixel.amax() if ball.threat.norm == "linf" else per_pixel.norm()).item()
    radii = sorted({ball.threat.eps, min(8 * ball.threat.eps, erasing), erasing})
    balls = [replace(ball, threat=ball.threat.model_copy(update={"eps": eps})) for eps in radii]
    fallen = [target.pgd(wider, STEPS, "none") for wider in balls]
    standing = [1 - fell.mean() for fell in fallen]
    shown = ", ".join(f"{share:.1%} at {eps:.4g}" for eps, share in zip(radii, standing, strict=True))
    chance = 1 / target.model.classes
    detail = f"robust accuracy {shown}; at most {chance:.1%}, that of guessing, expected of the last"
    return verdict(GROWING, bool(standing[-1] <= chance), detail, len(fallen[-1]))
