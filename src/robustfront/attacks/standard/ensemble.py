"""AutoAttack's attacks one after the other, each on what the ones before it left standing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from robustfront.attacks.engine import Runner
from robustfront.attacks.standard.apgd import Draw, apgd, cross_entropy, random_start, targeted_dlr
from robustfront.attacks.standard.fab import AT_ONCE, fab
from robustfront.attacks.standard.problem import Outcome, Problem, Tick, each_target
from robustfront.attacks.standard.square import square

TARGETS = 9
"""Classes that APGD-T and FAB-T turn to: the likeliest wrong ones."""

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
    parts: Sequence[str] | None = None,
    run: Runner = lambda attack, x, labels: attack(x, labels),
    report: Report = lambda part, done, given: None,
) -> Tensor:
    """x' (B, C, H, W); x itself where all `parts` failed or x is misclassified already.

    `parts` are some of `PARTS`, which come in their order there; None: all four. The random numbers of each
    part and batch start from `seed` anew. `run` runs each part on each batch.
    """
    ranking = _ranking(problem, x, batch_size)
    x_adv, stands = x.clone(), ranking[:, 0] == labels
    chosen = {name: part for name, part in PARTS.items() if parts is None or name in parts}
    for name, part in chosen.items():
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


def _apgd_ce(
    problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
) -> Outcome:
    start = random_start(problem, x, _drawn(x, generator))
    return apgd(problem, x, labels, labels, cross_entropy, start=start)


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


def _square(
    problem: Problem, x: Tensor, labels: Tensor, ranking: Tensor, generator: torch.Generator, tick: Tick
) -> Outcome:
    return square(problem, x, labels, generator=generator, tick=tick)


PARTS: dict[str, Part] = {"apgd-ce": _apgd_ce, "apgd-t": _apgd_t, "fab-t": _fab_t, "square": _square}
