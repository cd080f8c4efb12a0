"""FAB on all images of an evaluation."""

from functools import partial

import torch
from torch import Tensor

from robustfront.attacks import objectives
from robustfront.attacks.draws import ByPosition
from robustfront.attacks.standard.fab import AT_ONCE, fab
from robustfront.attacks.standard.problem import Outcome, Problem, each_target
from robustfront.attacks.unit_box import searched
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.fab import FABEvaluation
from robustfront.evaluation.target import Target


def attack(settings: FABEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W), x itself where the attack failed."""

    def perturb(x: Tensor, labels: Tensor, generator: ByPosition) -> Tensor:
        search = partial(_search, settings=settings, labels=labels)
        return searched(on.model, x, on.ball, search)[None]

    return on.by_image(perturb, (FINAL,))


def _search(problem: Problem, z: Tensor, settings: FABEvaluation, labels: Tensor) -> Tensor:
    if settings.targets is None:
        return fab(problem, z, labels, steps=settings.steps).x_adv
    with torch.no_grad():
        targets = objectives.likeliest_wrong(problem.exact(z), labels, settings.targets)

    def walk(rows: Tensor, chosen: Tensor) -> Outcome:
        return fab(problem, z[rows], labels[rows], chosen, steps=settings.steps)

    return each_target(walk, z, targets, at_once=AT_ONCE).x_adv
