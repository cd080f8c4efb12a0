"""One image's way through an attack, on the plane of its plain and its projected end (S000, Figure 2b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis import features, landscape
from robustfront.analysis.subject import Result, Subject, attacks_by_name, logits_of, single
from robustfront.attacks import Ball, frozen, iterates
from robustfront.data.augment import to_float
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.attacks.engine import FeatureGradient
    from robustfront.config.analyses.path import PathAnalysis
    from robustfront.config.schema import Ascent
    from robustfront.models import Classifier


@dataclass(frozen=True)
class PathPlane:
    """Through image `origin` (1, C, H, W), spanned by orthonormal `axes` (2, C, H, W); l2, in pixel units."""

    origin: Tensor
    axes: Tensor

    def coordinates(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> coordinates (N, 2) of the nearest points of the plane."""
        return (images - self.origin).flatten(1) @ self.axes.flatten(1).mT

    def distance(self, images: Tensor) -> Tensor:
        """How far each image lies off the plane, l2, (N,)."""
        offsets = (images - self.origin).flatten(1)
        return (offsets - (offsets @ self.axes.flatten(1).mT) @ self.axes.flatten(1)).norm(dim=1)


def walk(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    ascent: Ascent,
    *,
    seed: int,
    feature_gradient: FeatureGradient | None = None,
) -> Tensor:
    """One image (1, C, H, W) -> its iterates (steps + 2, C, H, W): x, the attack's start, and each step."""
    generator = torch.Generator(x.device).manual_seed(seed)
    with frozen(model):
        steps = iterates(
            model, x, labels, ball, ascent, generator=generator, feature_gradient=feature_gradient
        )
        return torch.cat([x, *steps])


def plane_of(x: Tensor, plain_end: Tensor, projected_end: Tensor) -> PathPlane:
    """The plane through x (1, C, H, W) and both ends: the first axis leads to `plain_end`.

    ConfigError if the three lie on one line, as they do when an attack finds no gradient to follow.
    """
    first, second = ((end - x).flatten(1) for end in (plain_end, projected_end))
    first_length, second_length = first.norm(), second.norm()
    first = first / first_length
    rest = second - (second @ first.mT) * first
    if not rest.norm() > 1e-3 * second_length or not first_length > 0:
        raise ConfigError(
            "analysis of kind path: plain and projected attack move this image along one line; "
            "choose another `image` or run"
        )
    return PathPlane(x, torch.stack([first, rest / rest.norm()]).view(2, *x.shape[1:]))


def grid_around(coordinates: Tensor, points: int) -> Tensor:
    """Offsets (2, points) along both axes: around all `coordinates` (N, 2), and a fifth more on each side."""
    low, high = coordinates.amin(dim=0), coordinates.amax(dim=0)
    margin = 0.2 * (high - low).max()
    return torch.stack(
        [torch.linspace(float(a - margin), float(b + margin), points) for a, b in zip(low, high, strict=True)]
    ).to(coordinates)


def analyse(subject: Subject, wanted: PathAnalysis) -> Result:
    """The walk of one image and the surface it goes over.

    Arrays: `image`, `<attack>.image` (C, H, W); `<attack>.points` (steps + 2, 2) from the image over the
    start, with `<attack>.loss`; `rows`, `columns` (R,), the offsets of `surface` (R, R) along the two axes.
    """
    _, space = subject.started()
    if wanted.image >= len(subject.test):
        raise ConfigError(
            f"analysis of kind path: image = {wanted.image}, but there are {len(subject.test)} test images"
        )
    model = subject.model
    chosen = slice(wanted.image, wanted.image + 1)
    x, labels = to_float(subject.test.images[chosen]), subject.test.labels[chosen]
    ball = Ball.of(wanted.threat, model.mean, model.std)
    walks = {
        name: walk(model, x, labels, ball, wanted.attack, seed=wanted.seed, feature_gradient=feature_gradient)
        for name, feature_gradient in attacks_by_name(space).items()
    }
    plane = plane_of(x, walks["plain"][-1:], walks["projected"][-1:])
    points = {name: plane.coordinates(images) for name, images in walks.items()}
    rows, columns = grid_around(torch.cat([*points.values()]), wanted.points)
    directions = (plane.axes[:1], plane.axes[1:])
    surface = landscape.surface(model, x, labels, directions, rows, columns, batch_size=wanted.batch_size)[0]
    arrays = {"image": x[0], "rows": rows, "columns": columns, "surface": surface}
    facts: dict[str, Any] = {"image": wanted.image, "label": int(labels)}
    for name, images in walks.items():
        shifts = features.features(model, images, wanted.batch_size)
        logits = logits_of(model, shifts)
        arrays[f"{name}.image"], arrays[f"{name}.points"] = images[-1], points[name]
        arrays[f"{name}.loss"] = losses.cross_entropy(logits, labels.expand(len(images)))
        facts[name] = {
            "prediction": int(logits[-1].argmax()),
            "off_plane": plane.distance(images).max().item(),
            "null_share": space.share(shifts[-1:] - shifts[:1]),
        }
    facts["prediction"] = int(logits_of(model, features.features(model, x, 1)).argmax())
    return single(arrays), facts
