"""Nuclear norms of the change of logits, of images that withstand an attack and of images that fall to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis.subject import Result, Subject
from robustfront.attacks import Ball, pgd
from robustfront.attacks.draws import ByPosition
from robustfront.data.augment import to_float

if TYPE_CHECKING:
    from robustfront.config.analyses.nuclear_norms import NuclearNorms


def analyse(subject: Subject, wanted: NuclearNorms) -> Result:
    """`robust` and `fallen`: |f(x') - f(x)|_* of each batch of `per_batch` images, all correct when clean.

    Images come in the order of the test split; what does not fill a batch is left out. Facts: `images`, how
    many were correct when clean; `robust` and `fallen`: how many, and the mean norm, null without a batch.
    """
    model, shown = subject.model, subject.chosen(wanted.images, wanted.seed)
    ball = Ball.of(wanted.threat, model.mean, model.std)
    changes, groups = [], []
    for rows in torch.arange(len(shown), device=shown.labels.device).split(wanted.batch_size):
        x, labels = to_float(shown.images[rows]), shown.labels[rows]
        x_adv = pgd(model, x, labels, ball, wanted.attack, generator=ByPosition(wanted.seed, rows))
        with torch.no_grad():
            clean, attacked = model(x), model(x_adv)
        correct = clean.argmax(dim=1) == labels
        changes.append((attacked - clean)[correct])
        groups.append((attacked.argmax(dim=1) == labels)[correct])
    change, robust = torch.cat(changes), torch.cat(groups)
    arrays, facts = dict[str, Tensor](), dict[str, object]({"images": len(robust)})
    for name, group in (("robust", change[robust]), ("fallen", change[~robust])):
        whole = [batch for batch in group.split(wanted.per_batch) if len(batch) == wanted.per_batch]
        norms = [losses.nuclear_norm(batch, torch.zeros_like(batch)) for batch in whole]
        arrays[name] = torch.stack(norms) if norms else change.new_zeros(0)
        facts[name] = {"images": len(group), "mean": arrays[name].mean().item() if norms else None}
    return arrays, facts
