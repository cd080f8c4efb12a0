"""Predicting and attacking a whole set of images, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.attacks import Ball, objectives, pgd
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
    done: Callable[[int], None] = lambda images: None,
) -> Tensor:
    """PGD on all images, random starts drawn from `seed`; calls `done` with the number of images attacked."""
    generator, objective = torch.Generator(x.device).manual_seed(seed), OBJECTIVES[attack.objective]
    x_adv = torch.empty_like(x)
    for start in range(0, len(x), batch_size):
        batch = slice(start, start + batch_size)
        x_adv[batch] = pgd(
            model, x[batch], labels[batch], ball, attack, objective=objective, generator=generator
        )
        done(min(start + batch_size, len(x)))
    return x_adv
