"""Where attacks by the nuclear and by the Frobenius norm lead predictions (S004, section 5.1, Figure 2).

Both ascend a norm of the matrix f(x + d) - f(x) of a batch of images of one class, and nothing else. In the
Frobenius norm images do not meet: it is the plain sum of squares. The nuclear norm also counts how many
directions the rows of the matrix have, so it should lead images of one class to more classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis.subject import Result, Subject
from robustfront.attacks import Ball, pgd
from robustfront.data.augment import to_float

if TYPE_CHECKING:
    from robustfront.attacks.objectives import Objective
    from robustfront.config.analyses.norm_attacks import NormAttacks

NORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "frobenius": lambda clean, logits: losses.squared_norm(losses.widen(logits) - losses.widen(clean)),
    "nuclear": losses.nuclear_norm,
}
"""Norm -> what is ascended, of clean and of attacked logits: the square for the former, image by image."""


def analyse(subject: Subject, wanted: NormAttacks) -> Result:
    """For each norm `<norm>.confusion` (C, C), the predictions of each class's images under the attack.

    Also `<norm>.entropy` (C,), that of the mean softmax of each class, in nats, and `sizes` (C,), how many
    images each batch has. Facts, by norm: `entropy`, the mean over the classes; `accuracy`; `nuclear` and
    `frobenius`, the means over the batches of the norms of the change of logits; `rank`, that of its
    effective rank, exp of the entropy of the singular values' shares.
    """
    model, test = subject.model, subject.test
    ball = Ball.of(wanted.threat, model.mean, model.std)
    batches = [_of_class(test.labels, label, wanted) for label in range(model.classes)]
    arrays: dict[str, Tensor] = {"sizes": torch.tensor([len(batch) for batch in batches])}
    facts: dict[str, object] = {"images": sum(len(batch) for batch in batches)}
    for norm, ascended in NORMS.items():
        generator = torch.Generator(test.labels.device).manual_seed(wanted.seed)
        confusion, entropies, changes = [], [], []
        for batch in batches:
            x, labels = to_float(test.images[batch]), test.labels[batch]
            with torch.no_grad():
                clean = model(x)
            away = _from(clean, ascended)
            x_adv = pgd(model, x, labels, ball, wanted.attack, objective=away, generator=generator)
            with torch.no_grad():
                logits = model(x_adv)
            confusion.append(logits.argmax(dim=1).bincount(minlength=model.classes))
            entropies.append(_entropy(logits.softmax(dim=1).mean(dim=0)))
            changes.append(torch.linalg.svdvals(logits - clean))
        arrays |= {f"{norm}.confusion": torch.stack(confusion), f"{norm}.entropy": torch.stack(entropies)}
        values = torch.stack(changes).double()
        facts[norm] = {
            "entropy": arrays[f"{norm}.entropy"].mean().item(),
            "accuracy": (arrays[f"{norm}.confusion"].diag().sum() / arrays["sizes"].sum()).item(),
            "nuclear": values.sum(dim=1).mean().item(),
            "frobenius": values.norm(dim=1).mean().item(),
            "rank": _entropy(values / values.sum(dim=1, keepdim=True)).exp().mean().item(),
        }
    return arrays, facts


def _from(clean: Tensor, norm: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    """The norm of the change from the clean logits, as an objective."""
    return lambda logits, labels: norm(clean, logits)


def _of_class(labels: Tensor, label: int, wanted: NormAttacks) -> Tensor:
    """Positions of the images of a class that make its batch."""
    own = (labels == label).nonzero().squeeze(1)
    generator = torch.Generator().manual_seed(wanted.seed)
    chosen = torch.randperm(len(own), generator=generator)[: wanted.per_class].sort().values
    return own[chosen.to(own.device)]


def _entropy(p: Tensor) -> Tensor:
    """-sum p log p over the last dimension, in nats."""
    return torch.special.entr(p).sum(dim=-1)
