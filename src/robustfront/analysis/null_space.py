"""A run's features and logits against the null space of its first head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront.analysis import features, theory
from robustfront.analysis.subject import Result, Subject, attacks_by_name, logits_of, single
from robustfront.attacks import Ball, pgd
from robustfront.data.augment import to_float

if TYPE_CHECKING:
    from robustfront.attacks.engine import FeatureGradient
    from robustfront.config.analyses.null_space import NullSpaceAnalysis
    from robustfront.models import Classifier


def analyse(subject: Subject, wanted: NullSpaceAnalysis) -> Result:
    """Figure 3's shifts under the plain and the projected attack, and the drift from the start.

    Arrays per image: `labels`; `clean.coordinates` and, for each attack, `<attack>.coordinates` (N, 3),
    `<attack>.row_norm`, `<attack>.null_norm`, `<attack>.fooled`; those of `theory.remark31`.
    """
    start, space = subject.started()
    model, size = subject.model, wanted.batch_size
    shown = subject.chosen(wanted.images, wanted.seed)
    x, labels = to_float(shown.images), shown.labels
    points = {"clean": features.features(model, x, size)}
    arrays: dict[str, Tensor] = {"labels": labels}
    facts: dict[str, Any] = {
        "images": len(x),
        "features": space.V.shape[0],
        "rank": space.rank,
        "null_share_of_random_direction": space.dimension / space.V.shape[0],
    }
    for name, feature_gradient in attacks_by_name(space).items():
        x_adv = _attacked(model, x, labels, wanted, feature_gradient)
        points[name] = features.features(model, x_adv, size)
        shift = points[name] - points["clean"]
        fooled = logits_of(model, points[name]).argmax(dim=1) != labels
        row_norm, null_norm = space.norms(shift)
        arrays |= {f"{name}.row_norm": row_norm, f"{name}.null_norm": null_norm, f"{name}.fooled": fooled}
        facts[name] = {
            "null_share": space.share(shift),
            "shift": shift.norm(dim=1).mean().item(),
            "fooled": fooled.double().mean().item(),
        }
    axes = features.principal_axes(points["plain"] - points["clean"], space)
    arrays |= {f"{name}.coordinates": axes.coordinates(found) for name, found in points.items()}
    drifts, remark = theory.remark31(model, start, shown.images, space)
    return single(arrays | drifts), facts | {"remark31": remark}


def _attacked(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    wanted: NullSpaceAnalysis,
    feature_gradient: FeatureGradient | None,
) -> Tensor:
    """x' of all images; both attacks start from the same points."""
    ball = Ball.of(wanted.threat, model.mean, model.std)
    generator = torch.Generator(x.device).manual_seed(wanted.seed)
    crafted = [
        pgd(model, images, y, ball, wanted.attack, generator=generator, feature_gradient=feature_gradient)
        for images, y in zip(x.split(wanted.batch_size), labels.split(wanted.batch_size), strict=True)
    ]
    return torch.cat(crafted)
