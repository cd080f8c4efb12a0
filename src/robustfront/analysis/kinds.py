"""The kinds of analysis: each takes a subject and gives arrays and facts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis import features, landscape, path, theory
from robustfront.attacks import Ball, pgd
from robustfront.config.analyses import Analysis, LandscapeAnalysis, NullSpaceAnalysis, PathAnalysis
from robustfront.data.augment import to_float
from robustfront.data.splits import subset
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.attacks.engine import FeatureGradient
    from robustfront.data.store import Split
    from robustfront.models import Classifier
    from robustfront.models.nullspace import NullSpace

Result = tuple[dict[str, Tensor], dict[str, Any]]
"""Arrays by name, and facts."""


@dataclass(frozen=True)
class Subject:
    """What an analysis looks at: a trained model, test images and, if needed, what the run started from.

    All are on one device; models are in eval mode.
    """

    model: Classifier
    test: Split
    start: Classifier | None = None
    null_space: NullSpace | None = None


def analyse(subject: Subject, analysis: Analysis) -> Result:
    """Arrays (float32, except labels) and facts of one analysis; see the functions below for their names."""
    match analysis:
        case LandscapeAnalysis():
            return _landscape(subject, analysis)
        case NullSpaceAnalysis():
            return _null_space(subject, analysis)
        case PathAnalysis():
            return _path(subject, analysis)


def _landscape(subject: Subject, wanted: LandscapeAnalysis) -> Result:
    """`offsets` (R,) and, for each plane, `<plane>.surface` (images, R, R) and the facts of `describe`."""
    shown = _chosen(subject.test, wanted.images, wanted.seed)
    x, labels = to_float(shown.images), shown.labels
    offsets = torch.linspace(-wanted.span, wanted.span, wanted.points, device=x.device)
    arrays, facts = {"offsets": offsets}, {}
    found = landscape.planes(subject.model, x, labels, seed=wanted.seed, batch_size=wanted.batch_size)
    for name, plane in found.items():
        surfaces = landscape.surface(
            subject.model, x, labels, plane, offsets, offsets, batch_size=wanted.batch_size
        )
        arrays[f"{name}.surface"] = surfaces
        facts[name] = landscape.describe(surfaces, 2 * wanted.span / (wanted.points - 1))
    return arrays, facts


def _null_space(subject: Subject, wanted: NullSpaceAnalysis) -> Result:
    """Figure 3's shifts under the plain and the projected attack, and the drift from the start.

    Arrays per image: `labels`; `clean.coordinates` and, for each attack, `<attack>.coordinates` (N, 3),
    `<attack>.row_norm`, `<attack>.null_norm`, `<attack>.fooled`; those of `theory.remark31`.
    """
    start, space = _start(subject)
    model, size = subject.model, wanted.batch_size
    shown = _chosen(subject.test, wanted.images, wanted.seed)
    x, labels = to_float(shown.images), shown.labels
    points = {"clean": features.features(model, x, size)}
    arrays: dict[str, Tensor] = {"labels": labels}
    facts: dict[str, Any] = {
        "images": len(x),
        "features": space.V.shape[0],
        "rank": space.rank,
        "null_share_of_random_direction": space.dimension / space.V.shape[0],
    }
    for name, feature_gradient in _attacks(space).items():
        x_adv = _attacked(model, x, labels, wanted, feature_gradient)
        points[name] = features.features(model, x_adv, size)
        shift = points[name] - points["clean"]
        fooled = _logits(model, points[name]).argmax(dim=1) != labels
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
    return _single(arrays | drifts), facts | {"remark31": remark}


def _path(subject: Subject, wanted: PathAnalysis) -> Result:
    """The walk of one image and the surface it goes over.

    Arrays: `image`, `<attack>.image` (C, H, W); `<attack>.points` (steps + 2, 2) from the image over the
    start, with `<attack>.loss`; `rows`, `columns` (R,), the offsets of `surface` (R, R) along the two axes.
    """
    _, space = _start(subject)
    if wanted.image >= len(subject.test):
        raise ConfigError(
            f"analysis of kind path: image = {wanted.image}, but there are {len(subject.test)} test images"
        )
    model = subject.model
    chosen = slice(wanted.image, wanted.image + 1)
    x, labels = to_float(subject.test.images[chosen]), subject.test.labels[chosen]
    ball = Ball.of(wanted.threat, model.mean, model.std)
    walks = {
        name: path.walk(
            model, x, labels, ball, wanted.attack, seed=wanted.seed, feature_gradient=feature_gradient
        )
        for name, feature_gradient in _attacks(space).items()
    }
    plane = path.plane_of(x, walks["plain"][-1:], walks["projected"][-1:])
    points = {name: plane.coordinates(images) for name, images in walks.items()}
    rows, columns = path.grid_around(torch.cat([*points.values()]), wanted.points)
    directions = (plane.axes[:1], plane.axes[1:])
    surface = landscape.surface(model, x, labels, directions, rows, columns, batch_size=wanted.batch_size)[0]
    arrays = {"image": x[0], "rows": rows, "columns": columns, "surface": surface}
    facts: dict[str, Any] = {"image": wanted.image, "label": int(labels)}
    for name, images in walks.items():
        shifts = features.features(model, images, wanted.batch_size)
        logits = _logits(model, shifts)
        arrays[f"{name}.image"], arrays[f"{name}.points"] = images[-1], points[name]
        arrays[f"{name}.loss"] = losses.cross_entropy(logits, labels.expand(len(images)))
        facts[name] = {
            "prediction": int(logits[-1].argmax()),
            "off_plane": plane.distance(images).max().item(),
            "null_share": space.share(shifts[-1:] - shifts[:1]),
        }
    facts["prediction"] = int(_logits(model, features.features(model, x, 1)).argmax())
    return _single(arrays), facts


def _attacks(space: NullSpace) -> dict[str, FeatureGradient | None]:
    """What is done to dL/dh: nothing, or NPDA's projection."""
    return {"plain": None, "projected": space.project}


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


def _start(subject: Subject) -> tuple[Classifier, NullSpace]:
    if subject.start is None or subject.null_space is None:
        raise ConfigError("this analysis compares a run with the one it starts from; give the run an `init`")
    return subject.start, subject.null_space


def _chosen(test: Split, count: int, seed: int) -> Split:
    """`count` test images: of all classes, and the same for every model."""
    chosen = torch.from_numpy(subset(test.labels.cpu().numpy(), count, seed)).to(test.labels.device)
    return replace(test, images=test.images[chosen], labels=test.labels[chosen], indices=test.indices[chosen])


@torch.no_grad()
def _logits(model: Classifier, features: Tensor) -> Tensor:
    logits: Tensor = model.head(features.to(model.head.weight))
    return logits


def _single(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """float64 arrays as float32: nothing drawn or compared needs more."""
    return {name: array.float() if array.dtype == torch.float64 else array for name, array in arrays.items()}
