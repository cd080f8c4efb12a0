"""APGD on all images of an evaluation."""

from functools import partial

import torch
from torch import Tensor

from robustfront.attacks import objectives
from robustfront.attacks.draws import ByPosition, draw
from robustfront.attacks.standard.apgd import (
    Loss,
    apgd,
    cross_entropy,
    random_start,
    targeted_dlr,
    untargeted_dlr,
)
from robustfront.attacks.standard.problem import Outcome, Problem, each_target
from robustfront.attacks.unit_box import searched
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.apgd import APGDEvaluation
from robustfront.evaluation.target import Target

LOSSES: dict[str, Loss] = {"ce": cross_entropy, "dlr": untargeted_dlr}


def attack(settings: APGDEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W), x itself where the attack failed.

    Starts are drawn by position, those of a further ascent for all images, whether they stand or not.
    """

    def perturb(x: Tensor, labels: Tensor, generator: ByPosition) -> Tensor:
        search = partial(_search, settings=settings, labels=labels, generator=generator)
        return searched(on.model, x, on.ball, search)[None]

    return on.by_image(perturb, (FINAL,))


def _search(
    problem: Problem, z: Tensor, settings: APGDEvaluation, labels: Tensor, generator: ByPosition
) -> Tensor:
    loss, targets = LOSSES[settings.objective], labels[:, None]
    if settings.targets is not None:
        with torch.no_grad():
            targets = objectives.likeliest_wrong(problem.exact(z), labels, settings.targets)
        loss = targeted_dlr

    def ascend(rows: Tensor, chosen: Tensor) -> Outcome:
        start = random_start(problem, z, lambda kind: draw(kind, z, generator))[rows]
        return apgd(problem, z[rows], labels[rows], chosen, loss, start=start, steps=settings.steps)

    return each_target(ascend, z, targets.repeat(1, settings.restarts)).x_adv
