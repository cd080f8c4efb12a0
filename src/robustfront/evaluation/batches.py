"""Predicting and attacking a whole set of images, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.attacks import Ball, objectives, pgd
from robustfront.attacks.engine import Runner
from robustfront.config.schema import PGDEvaluation

if TYPE_CHECKING:
    from robustfront.models import Classifier

OBJECTIVES = {"ce": objectives.ce, "dlr": objectives.dlr, "margin": objectives.margin}


@torch.no_grad()
def judge(model: Classifier, x: Tensor, labels: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Predictions int64 (N,) and cross entropies float32 (N,)."""
    logits = [model(batch) for batch in x.split(batch_size)]
    if not logits:
        return labels.clone(), x.new_zeros(0)
    joined = torch.cat(logits)
    return joined.argmax(dim=1), losses.cross_entropy(joined, labels)


def ascend(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    attack: PGDEvaluation,
    *,
    seed: int,
    batch_size: int,
    run: Runner = lambda attack, x, labels: attack(x, labels),
    done: Callable[[int], None] = lambda images: None,
) -> Tensor:
    """PGD on all images; calls `done` with the number of images attacked.

    Random starts depend on `seed` and on where in `x` a batch begins. `run` is given each batch and may know
    its result.
    """
    x_adv = torch.empty_like(x)
    for start in range(0, len(x), batch_size):
        batch = slice(start, start + batch_size)
        generator = torch.Generator(x.device).manual_seed(seed + start)

        def perturb(x: Tensor, y: Tensor, generator: torch.Generator = generator) -> Tensor:
            x = x.contiguous(memory_format=torch.channels_last)
            objective = OBJECTIVES[attack.objective]
            return pgd(model, x, y, ball, attack, objective=objective, generator=generator)

        x_adv[batch] = run(perturb, x[batch], labels[batch])
        done(min(start + batch_size, len(x)))
    return x_adv
