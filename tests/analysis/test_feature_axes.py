import numpy as np
import pytest
import torch

from robustfront.analysis import features
from robustfront.models import nullspace
from toy_models import random_images, random_linear

SHAPE = (2, 3, 3)


@pytest.fixture
def space() -> nullspace.NullSpace:
    generator = torch.Generator().manual_seed(0)
    return nullspace.compute(torch.randn(4, 12, generator=generator), 1e-6)


def test_shift_of_linear_features_is_the_perturbation_over_the_standard_deviation() -> None:
    model, x = random_linear(3, SHAPE), random_images(5, SHAPE)
    delta = 0.1 * random_images(5, SHAPE, seed=2)
    shift = features.features(model, x + delta, 2) - features.features(model, x, 3)
    torch.testing.assert_close(shift, (delta / model.std).flatten(1).double(), rtol=0, atol=1e-5)


def test_axes_are_orthonormal_and_lie_in_their_spaces(space) -> None:
    shifts = torch.randn(30, 12, generator=torch.Generator().manual_seed(2))
    axes = features.principal_axes(shifts, space)
    basis = torch.cat([axes.row, axes.null], dim=1)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3).double(), rtol=0, atol=1e-12)
    assert space.project(axes.row.T).abs().max() < 1e-12
    assert (axes.null.T @ space.V).abs().max() < 1e-12
    torch.testing.assert_close(axes.coordinates(shifts), shifts.double() @ basis)


def test_axes_show_the_most_of_either_part(space) -> None:
    row, null = space.V[:, 1], space.project(torch.ones(12).double())
    null = null / null.norm()
    generator = torch.Generator().manual_seed(3)
    amounts = torch.randn(50, 2, generator=generator).double()
    shifts = 5 * amounts[:, :1] * row + 3 * amounts[:, 1:] * null + 1e-3 * torch.randn(50, 12).double()
    axes = features.principal_axes(shifts, space)
    assert abs(float(axes.row[:, 0] @ row)) > 0.999
    assert abs(float(axes.null[:, 0] @ null)) > 0.999


def test_the_sign_of_an_axis_does_not_depend_on_that_of_the_shifts(space) -> None:
    shifts = torch.randn(30, 12, generator=torch.Generator().manual_seed(4))
    one, other = features.principal_axes(shifts, space), features.principal_axes(-shifts, space)
    np.testing.assert_allclose(one.row, other.row, atol=1e-12)
    assert float(one.null.max()) == pytest.approx(float(one.null.abs().max()))


def test_a_row_space_of_one_dimension_has_a_second_axis_of_zeros() -> None:
    flat = nullspace.compute(torch.ones(2, 5), 1e-6)
    axes = features.principal_axes(torch.randn(6, 5, generator=torch.Generator().manual_seed(5)), flat)
    assert axes.row[:, 0].norm() == pytest.approx(1.0)
    assert not axes.row[:, 1].any()
