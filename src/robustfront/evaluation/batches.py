"""Predicting and attacking a whole set of images, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.attacks import Ball, frozen, iterates, objectives, pgd, until_fallen
from robustfront.attacks.draws import ByPosition
from robustfront.attacks.engine import Runner
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.evaluation.room import Room

if TYPE_CHECKING:
    from robustfront.models import Classifier

Perturb = Callable[[Tensor, Tensor, ByPosition], Tensor]
"""(x, labels, generator) of a batch -> x' of each outcome, (outcomes, B, C, H, W)."""

OBJECTIVES = {"ce": objectives.ce, "dlr": objectives.dlr, "margin": objectives.margin}


@torch.no_grad()
def judge(model: Classifier, x: Tensor, labels: Tensor, room: Room) -> tuple[Tensor, Tensor]:
    """Predictions int64 (N,) and cross entropies float32 (N,)."""
    logits = room.pieces(len(x), lambda batch: model(x[batch]))
    if not logits:
        return labels.clone(), x.new_zeros(0)
    joined = torch.cat(logits)
    return joined.argmax(dim=1), losses.cross_entropy(joined, labels)


def in_batches(
    x: Tensor,
    labels: Tensor,
    positions: Tensor,
    perturb: Perturb,
    outcomes: Sequence[str],
    *,
    seed: int,
    room: Room,
    run: Runner = lambda attack, x, labels: attack(x, labels),
    done: Callable[[int], None] = lambda images: None,
) -> dict[str, Tensor]:
    """Outcome -> x' (N, C, H, W) of all images. Calls `done` with the number of images attacked.

    `positions` int64 (N,) say where in their split the images lie: with `seed`, these alone decide on an
    image's random numbers, so neither the batch size nor the other images change what becomes of it, apart
    from rounding. `run` is given each batch and may know its result.
    """
    x_adv = {outcome: torch.empty_like(x) for outcome in outcomes}

    def work(batch: slice) -> None:
        def attack(x: Tensor, y: Tensor) -> Tensor:
            x = x.contiguous(memory_format=torch.channels_last)
            return perturb(x, y, ByPosition(seed, positions[batch]))

        crafted = run(attack, x[batch], labels[batch])
        for outcome, found in zip(x_adv.values(), crafted, strict=True):
            outcome[batch] = found
        done(batch.stop)

    room.pieces(len(x), work)
    return x_adv


def ascend(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    positions: Tensor,
    ball: Ball,
    attack: PGDEvaluation,
    *,
    seed: int,
    room: Room,
    run: Runner = lambda attack, x, labels: attack(x, labels),
    done: Callable[[int], None] = lambda images: None,
) -> dict[str, Tensor]:
    """PGD on all images, as `in_batches`."""

    def perturb(x: Tensor, y: Tensor, generator: ByPosition) -> Tensor:
        return _stops(model, x, y, ball, attack, generator)

    return in_batches(
        x, labels, positions, perturb, attack.outcomes, seed=seed, room=room, run=run, done=done
    )


def _stops(
    model: Classifier, x: Tensor, labels: Tensor, ball: Ball, attack: PGDEvaluation, generator: ByPosition
) -> Tensor:
    """x' of each of the attack's outcomes, (outcomes, B, C, H, W)."""
    objective = OBJECTIVES[attack.objective]
    if attack.targets is not None:
        with torch.no_grad():
            targets = objectives.likeliest_wrong(model(x), labels, attack.targets)
        return until_fallen(model, x, labels, ball, attack, generator, objective=objective, targets=targets)[
            None
        ]
    if attack.restarts_on == "standing":
        return until_fallen(model, x, labels, ball, attack, generator, objective=objective)[None]
    if not attack.also:
        return pgd(model, x, labels, ball, attack, objective=objective, generator=generator)[None]
    with frozen(model):
        steps = iterates(model, x, labels, ball, attack, objective=objective, generator=generator)
        wanted = set(attack.stops.values())
        reached = {step: x_adv for step, x_adv in enumerate(steps) if step in wanted}
    return torch.stack([reached[step] for step in attack.stops.values()])
