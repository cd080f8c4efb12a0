"""The conflict between the gradients of the clean and the adversarial loss (S001, section 3.1).

mu = |g_c| |g_a| (1 - cos(g_c, g_a)), of one batch at fixed weights. Gradients of the *same* loss on two
batches differ too, and mu of two clean ones is what sampling alone makes of it: a conflict of tasks has to
exceed that. Batches are equally large throughout, as a gradient of fewer images is noisier.

The paper's code sums mu over the batches of an epoch and, where it tracks several attacks at once, divides
the running sum by the number of batches so far in each of them. What comes out is about the last batch's mu
over the number of batches: of Figure 3b only the order of its curves can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from robustfront import losses
from robustfront.analysis.subject import Result, Subject
from robustfront.attacks import Ball
from robustfront.data.augment import to_float
from robustfront.methods.ca_at import Angle, TwoGradientParams, adversarial_losses, inner_maximum

if TYPE_CHECKING:
    from robustfront.config.analyses.gradient_conflict import GradientConflict
    from robustfront.models import Classifier

Gradient = dict[str, Tensor]


def analyse(subject: Subject, wanted: GradientConflict) -> Result:
    """`conflict` (1 + attacks, 2): mu of two clean batches, twice, then of each attack on either batch.

    Facts: `images` in a batch; `names` of the rows, `clean` first; of each name `conflict`, `cosine`,
    `clean_norm`, `adversarial_norm`, means over both batches. Of `clean` the second norm is that of the
    other batch.
    """
    model = subject.model
    images = min(wanted.images, len(subject.test.labels) // 2)
    shown = subject.chosen(2 * images, wanted.seed)
    order = torch.randperm(2 * images, generator=torch.Generator().manual_seed(wanted.seed))
    batches = [
        (to_float(shown.images[rows]), shown.labels[rows])
        for rows in order.to(shown.labels.device).split(images)
    ]
    hold_statistics(model)
    clean = [gradient(model, _clean_loss(model, x, y)) for x, y in batches]
    angles = {"clean": [Angle.between(*clean), Angle.between(*reversed(clean))]}
    ball = Ball.of(wanted.threat, model.mean, model.std)
    for inner in wanted.inner:
        params = TwoGradientParams(
            threat=wanted.threat,
            attack=wanted.attack,
            attack_mode=wanted.attack_mode,
            adversarial_loss=wanted.adversarial_loss,
            inner=inner,
        )
        generator = torch.Generator(model.mean.device).manual_seed(wanted.seed)
        angles[inner] = []
        for (x, y), of_clean in zip(batches, clean, strict=True):
            x_adv = inner_maximum(params, model, ball, x, y, generator)
            model.train()
            robust = adversarial_losses(wanted.adversarial_loss, model(x), model(x_adv), y).mean()
            angles[inner].append(Angle.between(of_clean, gradient(model, robust)))
    facts: dict[str, Any] = {"images": images, "names": list(angles)}
    facts |= {name: _means(found) for name, found in angles.items()}
    conflict = torch.stack([torch.stack([one.conflict for one in found]) for found in angles.values()])
    return {"conflict": conflict.float()}, facts


def hold_statistics(model: nn.Module) -> None:
    """Lets no pass in train mode move running statistics: attacks in eval mode see those of the run."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.0


def gradient(model: nn.Module, loss: Tensor) -> Gradient:
    """Of a loss, to all parameters, by name; zeros for those that it does not depend on."""
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if each is None else each
        for (name, parameter), each in zip(parameters.items(), found, strict=True)
    }


def _clean_loss(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
    model.train()
    return losses.cross_entropy(model(x), y).mean()


def _means(found: list[Angle]) -> dict[str, float]:
    names = ("conflict", "cosine", "clean_norm", "adversarial_norm")
    return {name: torch.stack([getattr(one, name) for one in found]).mean().item() for name in names}
