"""An attack's shift of the penultimate features against the null space of W_std (S000, Figure 3, Eq. 9-11).

A shift d = h(x') - h(x) is the sum of its parts in the row space of W_std (the paper's "column space", of
W^T) and in the null space, which W_std cannot see. They are orthogonal: |d|^2 is the sum of their squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from robustfront.models import Classifier
    from robustfront.models.nullspace import NullSpace


@torch.no_grad()
def features(model: Classifier, x: Tensor, batch_size: int) -> Tensor:
    """Penultimate features (N, D) in float64, of a model in eval mode."""
    return torch.cat([model.features(batch) for batch in x.split(batch_size)]).double()


@dataclass(frozen=True)
class Axes:
    """Orthonormal directions of feature space: `row` (D, 2) of the row, `null` (D, 1) of the null space."""

    row: Tensor
    null: Tensor

    def coordinates(self, points: Tensor) -> Tensor:
        """(N, D) features -> (N, 3): two row-space coordinates, one null-space coordinate."""
        return points.double() @ torch.cat([self.row, self.null], dim=1)


def principal_axes(shifts: Tensor, space: NullSpace) -> Axes:
    """The axes along which (N, D) shifts are largest: two within the row space, one within the null space.

    The paper draws its axes at random. In a null space of hundreds of dimensions a random one shows next to
    nothing of any shift; principal ones show as much of either part as its space allows. An axis points to
    where its entry of largest size is positive. A row space of one dimension gets a second axis of zeros.
    """
    shifts = shifts.double()
    row = space.V @ _directions(shifts @ space.V, 2)
    null = _directions(space.project(shifts), 1)
    return Axes(_oriented(row), _oriented(null))


def _directions(vectors: Tensor, count: int) -> Tensor:
    """The first right singular vectors as columns (D, count), zeros where there are fewer."""
    found = torch.linalg.svd(vectors, full_matrices=False).Vh[:count].mT
    return torch.cat([found, found.new_zeros(len(found), count - found.shape[1])], dim=1)


def _oriented(axes: Tensor) -> Tensor:
    """The same axes, each turned so that its entry of largest absolute value is positive."""
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return torch.where(largest < 0, -axes, axes)
