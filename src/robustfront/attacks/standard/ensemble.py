"""AutoAttack's attacks one after the other, each on what the ones before it left standing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from robustfront.attacks.engine import Runner
from robustfront.attacks.standard.apgd import (
    Draw,
    Loss,
    apgd,
    cross_entropy,
    random_start,
    targeted_dlr,
    untargeted_dlr,
)
from robustfront.attacks.standard.fab import AT_ONCE, fab, nearby
from robustfront.attacks.standard.problem import Outcome, Problem, Tick, each_target
from robustfront.attacks.standard.square import square

TARGETS = 9
"""Classes that APGD-T and FAB-T turn to: the likeliest wrong ones."""

RESTARTS = 5
"""Of APGD-CE, APGD-DLR and FAB in version 1."""

Version = Literal["standard", "apgd", "v1"]

Report = Callable[[str, int, int], None]
"""Called with a part's name, the images it is done with, and the images it was given."""

Part = Callable[[Problem, Tensor, Tensor, Tensor, torch.Generator, Tick], Outcome]
"""(problem, x, labels, ranking (B, K) of the classes, generator, tick) -> what became of the batch."""


def standard(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
    version: Version = "standard",
    run: Runner = lambda attack, x, labels: attack(x, labels),
    report: Report = lambda part, done, given: None,
) -> Tensor:
    """x' (B, C, H, W); x itself where all parts of the version failed or x is misclassified already.

    The random numbers of each part and batch start from `seed` anew. `run` runs each part on each batch.
    """
    ranking = _ranking(problem, x, batch_size)
    x_adv, stands = x.clone(), ranking[:, 0] == labels
    for name, part in PARTS[version].items():
        standing = stands.nonzero().squeeze(1)
        for start in range(0, len(standing), batch_size):
            batch = standing[start : start + batch_size]
            tick = _Tick(report, name, start, len(batch), len(standing))
            attack = partial(_attack, part, problem, ranking[batch], seed, tick)
            crafted = run(attack, x[batch], labels[batch])
            x_adv[batch], stands[batch] = crafted, (crafted == x[batch]).flatten(1).all(dim=1)
            tick(1.0)
    return x_adv


def _attack(
    part: Part, problem: Problem, ranking: Tensor, seed: int, tick: Tick, x: Tensor, labels: Tensor
) -> Tensor:
    return part(problem, x, labels, ranking, torch.Generator().manual_seed(seed), tick).x_adv


@dataclass(frozen=True)
class _Tick:
    """Reports the progress of a batch as that of its part."""

    report: Report
    part: str
    before: int
    images: int
    given: int

    def __call__(self, fraction: float) -> None:
        self.report(self.part, self.before + int(fraction * self.images), self.given)


def _ranking(problem: Problem, x: Tensor, batch_size: int) -> Tensor:
    """All classes of each image, the likeliest first, (B, K)."""
    with torch.no_grad():
        ascending = [problem.exact(batch).sort(dim=1).indices for batch in x.split(batch_size)]
    return torch.cat(ascending).flip(1)


def _untargeted_apgd(loss: Loss, restarts: int) -> Part:
    def part(
        problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
    ) -> Outcome:
        def ascend(rows: Tensor, targets: Tensor) -> Outcome:
            start = random_start(problem, x[rows], _drawn(x[rows], generator))
            return apgd(problem, x[rows], labels[rows], targets, loss, start=start)

        return each_target(ascend, x, labels[:, None].expand(-1, restarts), tick)

    return part


def _apgd_t(
    problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
) -> Outcome:
    def towards(rows: Tensor, targets: Tensor) -> Outcome:
        start = random_start(problem, x[rows], _drawn(x[rows], generator))
        return apgd(problem, x[rows], labels[rows], targets, targeted_dlr, start=start)

    return each_target(towards, x, ranking[:, 1 : 1 + TARGETS], tick)


def _drawn(x: Tensor, generator: torch.Generator) -> Draw:
    """Draws of the shape of `x` on the CPU, whatever the device."""
    return lambda kind: kind(x.shape, generator=generator)


def _fab_t(
    problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
) -> Outcome:
    return each_target(
        lambda rows, targets: fab(problem, x[rows], labels[rows], targets),
        x,
        ranking[:, 1 : 1 + TARGETS],
        tick,
        AT_ONCE,
    )


def _restarted_fab(
    problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
) -> Outcome:
    def walk(rows: Tensor, restart: Tensor) -> Outcome:
        images = x[rows]
        start = nearby(problem, images, _drawn(images, generator)) if restart[0] else None
        return fab(problem, images, labels[rows], start=start)

    restarts = torch.arange(RESTARTS, device=x.device).expand(len(x), -1)
    return each_target(walk, x, restarts, tick)


def _square(
    problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
) -> Outcome:
    return square(problem, x, labels, generator=generator, tick=tick)


PARTS: dict[Version, dict[str, Part]] = {
    "standard": {
        "apgd-ce": _untargeted_apgd(cross_entropy, 1),
        "apgd-t": _apgd_t,
        "fab-t": _fab_t,
        "square": _square,
    },
    "apgd": {"apgd-ce": _untargeted_apgd(cross_entropy, 1), "apgd-t": _apgd_t},
    "v1": {
        "apgd-ce": _untargeted_apgd(cross_entropy, RESTARTS),
        "apgd-dlr": _untargeted_apgd(untargeted_dlr, RESTARTS),
        "fab": _restarted_fab,
        "square": _square,
    },
}
"""The parts of each version, in their order."""
