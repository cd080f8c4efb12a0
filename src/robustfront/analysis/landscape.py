"""Loss surfaces: cross entropy on a plane through an image (S000, Figure 6; Li et al. 2018 draw weights so).

A point of the plane is x + a d1 + b d2 with directions whose entries are -1, 0 or 1, so that a and b are
offsets of every pixel in pixel units. The points are *not* clipped to valid images. Clipped, the plane would
bend at the image itself wherever a pixel is 0 or 1 (the whole background of a digit), and the kink would be
the box's, not the model's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis.subject import Result, Subject
from robustfront.attacks import frozen, input_gradient
from robustfront.data.augment import to_float

if TYPE_CHECKING:
    from robustfront.config.analyses.landscape import LandscapeAnalysis
    from robustfront.models import Classifier

Plane = tuple[Tensor, Tensor]
"""Two directions per image, (N, C, H, W) each."""


@torch.no_grad()
def surface(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    plane: Plane,
    rows: Tensor,
    columns: Tensor,
    *,
    batch_size: int,
) -> Tensor:
    """Cross entropy (N, R, S) at x + a d1 + b d2 for each image of x (N, ...), a in `rows`, b in `columns`.

    Points of all images fill the batches together, so memory depends on `batch_size` alone. The model is in
    eval mode; all is float32.
    """
    first, second = plane
    values = []
    for points in torch.arange(len(x) * len(rows) * len(columns), device=x.device).split(batch_size):
        # torch.unravel_index would do, but its first call imports a second's worth of torch's compiler.
        line, column = points // len(columns), points % len(columns)
        image, row = line // len(rows), line % len(rows)
        a, b = (offset.view(-1, 1, 1, 1) for offset in (rows[row], columns[column]))
        values.append(
            losses.cross_entropy(model(x[image] + a * first[image] + b * second[image]), labels[image])
        )
    return torch.cat(values).view(len(x), len(rows), len(columns))


def planes(
    model: Classifier, x: Tensor, labels: Tensor, *, seed: int, batch_size: int, orthogonal: bool = False
) -> dict[str, Plane]:
    """The planes of Figure 6: `gradient` (sign of dCE/dx, random) and `random` (random, random).

    Random directions are independent signs per pixel. They depend on `seed` and the shape of x alone: every
    model, on every device, is looked at along the same ones. The second axis is the same in both planes, or
    if `orthogonal` what of it is orthogonal to the first one.
    """
    generator = torch.Generator().manual_seed(seed)
    shared, other = (2 * torch.randint(2, (2, *x.shape), generator=generator) - 1).to(x)
    firsts = {"gradient": gradient_signs(model, x, labels, batch_size), "random": other}
    return {name: (first, _across(first, shared) if orthogonal else shared) for name, first in firsts.items()}


def _across(first: Tensor, second: Tensor) -> Tensor:
    """`second` less its part along `first`, image by image."""
    along = (first * second).flatten(1).sum(dim=1) / first.flatten(1).square().sum(dim=1).clamp_min(1)
    return second - along.view(-1, 1, 1, 1) * first


def gradient_signs(model: Classifier, x: Tensor, labels: Tensor, batch_size: int) -> Tensor:
    """Sign of the gradient of each image's cross entropy, (N, C, H, W); 0 where there is none."""
    with frozen(model):
        gradients = [
            input_gradient(model, images, y)
            for images, y in zip(x.split(batch_size), labels.split(batch_size), strict=True)
        ]
    return torch.cat(gradients).sign()


def describe(surfaces: Tensor, step: float) -> dict[str, float]:
    """Numbers of surfaces (N, R, S) with grid spacing `step`, computed in float64.

    - `at_image`, `rise`: of the mean surface, cross entropy at the centre, which is the image itself, and by
      how much the highest point exceeds it;
    - `slope`, `curvature`: mean absolute first and second difference along the axes over step and step^2.
      Averaging surfaces would smooth them, so both are taken of each image's own.
    """
    values = surfaces.double()
    mean = values.mean(dim=0)
    centre = mean[mean.shape[0] // 2, mean.shape[1] // 2]
    first = [values.diff(dim=axis) for axis in (1, 2)]
    second = [values.diff(n=2, dim=axis) for axis in (1, 2)]
    return {
        "at_image": centre.item(),
        "rise": (mean.max() - centre).item(),
        "slope": torch.stack([d.abs().mean() for d in first]).mean().item() / step,
        "curvature": torch.stack([d.abs().mean() for d in second]).mean().item() / step**2,
    }


def analyse(subject: Subject, wanted: LandscapeAnalysis) -> Result:
    """`offsets` (R,) and, for each plane, `<plane>.surface` (images, R, R) and the facts of `describe`."""
    shown = subject.chosen(wanted.images, wanted.seed)
    x, labels = to_float(shown.images), shown.labels
    offsets = torch.linspace(-wanted.span, wanted.span, wanted.points, device=x.device)
    arrays, facts = {"offsets": offsets}, {}
    size = wanted.batch_size
    found = planes(subject.model, x, labels, seed=wanted.seed, batch_size=size, orthogonal=wanted.orthogonal)
    for name, plane in found.items():
        surfaces = surface(subject.model, x, labels, plane, offsets, offsets, batch_size=size)
        arrays[f"{name}.surface"] = surfaces
        facts[name] = describe(surfaces, 2 * wanted.span / (wanted.points - 1))
    return arrays, facts
