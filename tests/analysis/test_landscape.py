import math

import pytest
import torch
from torch import Tensor

from robustfront.analysis import landscape
from toy_models import Convolutional, Linear, random_images, random_linear

SHAPE = (2, 4, 3)


@pytest.fixture
def convolutional() -> Convolutional:
    torch.manual_seed(0)
    return Convolutional().eval()


def directions(n: int, seed: int = 3) -> landscape.Plane:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, n, *SHAPE, generator=generator)
    return first, second


def closed_form(
    model: Linear, x: Tensor, y: Tensor, first: Tensor, second: Tensor, a: float, b: float
) -> Tensor:
    """Cross entropy (N,) of logits z + a W d1/std + b W d2/std, in float64."""
    weight = model.head.weight.detach().double()
    slopes = [(d / model.std).flatten(1).double() @ weight.T for d in (first, second)]
    z = model(x).detach().double() + a * slopes[0] + b * slopes[1]
    return z.logsumexp(1) - z.gather(1, y[:, None]).squeeze(1)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_surface_of_a_linear_model_has_its_closed_form(batch_size) -> None:
    model, x, y = random_linear(3, SHAPE, norm=2.0), random_images(2, SHAPE), torch.tensor([0, 2])
    first, second = directions(2)
    rows, columns = torch.tensor([-0.3, 0.0, 0.5, 2.0]), torch.tensor([-1.0, 0.0, 0.2])
    found = landscape.surface(model, x, y, (first, second), rows, columns, batch_size=batch_size)
    assert found.shape == (2, 4, 3)
    for i, a in enumerate(rows.tolist()):
        for j, b in enumerate(columns.tolist()):
            expected = closed_form(model, x, y, first, second, a, b)
            torch.testing.assert_close(found[:, i, j].double(), expected, rtol=1e-5, atol=1e-6)


def test_points_outside_the_valid_images_are_not_clipped() -> None:
    model, x, y = random_linear(3, SHAPE, norm=2.0), torch.ones(1, *SHAPE), torch.tensor([1])
    first, second = torch.ones(2, 1, *SHAPE)
    found = landscape.surface(
        model, x, y, (first, second), torch.tensor([0.0, 0.4]), torch.zeros(1), batch_size=9
    )
    expected = closed_form(model, x, y, first, second, 0.4, 0.0)
    torch.testing.assert_close(found[:, 1, 0].double(), expected, rtol=1e-5, atol=1e-6)
    assert (found[0, 1, 0] - found[0, 0, 0]).abs() > 1e-3


def test_batching_changes_nothing_but_rounding(convolutional) -> None:
    x, y = random_images(3, (3, 6, 6)), torch.tensor([0, 1, 3])
    plane = landscape.planes(convolutional, x, y, seed=0, batch_size=2)["gradient"]
    offsets = torch.linspace(-0.1, 0.1, 5)
    whole, parts = (
        landscape.surface(convolutional, x, y, plane, offsets, offsets, batch_size=size) for size in (75, 4)
    )
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-5)


def test_gradient_axis_is_the_sign_of_the_loss_slope(convolutional) -> None:
    x, y = random_images(4, (3, 6, 6)), torch.tensor([0, 1, 2, 3])
    first, _ = landscape.planes(convolutional, x, y, seed=0, batch_size=3)["gradient"]
    double = convolutional.double()
    leaf = x.double().requires_grad_()
    loss = torch.nn.functional.cross_entropy(double(leaf), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    clear = gradient.abs() > 1e-6
    assert clear.double().mean() > 0.9
    assert torch.equal(first[clear], gradient.sign().float()[clear])
    assert all(parameter.grad is None for parameter in convolutional.parameters())


def test_random_axes_are_signs_that_depend_on_the_seed_alone(convolutional) -> None:
    x, y = random_images(4, (3, 6, 6)), torch.tensor([0, 1, 2, 3])
    planes = landscape.planes(convolutional, x, y, seed=5, batch_size=4)
    others = landscape.planes(random_linear(4, (3, 6, 6)), 0.5 * x, y, seed=5, batch_size=4)
    assert torch.equal(torch.stack(planes["random"]), torch.stack(others["random"]))
    assert torch.equal(planes["gradient"][1], planes["random"][1])
    assert set(torch.stack(planes["random"]).unique().tolist()) == {-1.0, 1.0}
    assert (planes["random"][0] * planes["random"][1]).mean().abs() < 0.3
    again = landscape.planes(convolutional, x, y, seed=6, batch_size=4)
    assert not torch.equal(again["random"][0], planes["random"][0])


def test_a_model_without_gradient_is_not_moved() -> None:
    flat = random_linear(3, SHAPE)
    flat.head.weight.data.zero_()
    assert not landscape.gradient_signs(flat, random_images(2, SHAPE), torch.tensor([0, 1]), 2).any()


def test_description_of_a_tilted_plane_and_of_a_bowl() -> None:
    offsets = torch.linspace(-0.2, 0.2, 5, dtype=torch.float64)
    a, b = torch.meshgrid(offsets, offsets, indexing="ij")
    tilted = landscape.describe((1 + 3 * a - 5 * b)[None], 0.1)
    assert tilted == pytest.approx(
        {"at_image": 1.0, "rise": 0.2 * 8, "slope": 4.0, "curvature": 0.0}, abs=1e-9
    )
    bowl = landscape.describe(torch.stack([a**2 + b**2, 3 * (a**2 + b**2)]), 0.1)
    assert bowl["curvature"] == pytest.approx((2 + 6) / 2)
    assert bowl["rise"] == pytest.approx(2 * 2 * 0.04)
    assert bowl["at_image"] == pytest.approx(0.0)


def test_opposite_tilts_cancel_in_the_mean_surface_but_not_in_the_slope() -> None:
    offsets = torch.linspace(-0.1, 0.1, 3, dtype=torch.float64)
    a, _ = torch.meshgrid(offsets, offsets, indexing="ij")
    found = landscape.describe(torch.stack([2 * a, -2 * a]), 0.1)
    assert found["rise"] == pytest.approx(0.0, abs=1e-12)
    assert found["slope"] == pytest.approx(1.0)
    assert not math.isnan(found["curvature"])
