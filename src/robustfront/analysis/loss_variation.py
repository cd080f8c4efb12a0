"""By how much an attack can raise the loss of single images."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis.subject import Result, Subject, single
from robustfront.attacks import Ball, iterates
from robustfront.data.augment import to_float

if TYPE_CHECKING:
    from robustfront.config.analyses.loss_variation import LossVariationAnalysis


def analyse(subject: Subject, wanted: LossVariationAnalysis) -> Result:
    """max CE(x') - CE(x) over what PGD meets within each radius, for all images, wrong ones too (S003, B.5).

    Over its steps, and x itself: a start may lie outside the image's box.

    Arrays: `variation` (radii, images); `clean`, cross entropy of the images as they are. Facts: `radii`,
    `mean`, `std` (population, over images), each by radius.
    """
    model, size = subject.model, wanted.batch_size
    shown = subject.chosen(wanted.images, wanted.seed)
    x, labels = to_float(shown.images), shown.labels
    batches = list(zip(x.split(size), labels.split(size), strict=True))
    clean = torch.cat([_loss(model, images, y) for images, y in batches])
    rises = []
    for threat in wanted.threats:
        ball = Ball.of(threat, model.mean, model.std)
        generator = torch.Generator(x.device).manual_seed(wanted.seed)
        highest = []
        for images, y in batches:
            met = iterates(model, images, y, ball, wanted.attack, generator=generator)
            points = itertools.chain([images], itertools.islice(met, 1, None))
            highest.append(torch.stack([_loss(model, x_adv, y) for x_adv in points]).amax(dim=0))
        rises.append(torch.cat(highest) - clean)
    variation = torch.stack(rises)
    facts: dict[str, Any] = {
        "radii": list(wanted.radii),
        "images": len(x),
        "mean": variation.mean(dim=1).tolist(),
        "std": variation.std(dim=1, correction=0).tolist(),
    }
    return single({"variation": variation, "clean": clean}), facts


@torch.no_grad()
def _loss(model: torch.nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    return losses.cross_entropy(model(x).double(), labels)
