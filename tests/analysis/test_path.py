import pytest
import torch

from robustfront.analysis import path
from robustfront.attacks import Ball, pgd
from robustfront.config.schema import Ascent, Threat
from robustfront.errors import ConfigError
from toy_models import Convolutional, random_images

SHAPE = (3, 6, 6)
ASCENT = Ascent(steps=4, step_size=0.03, start="uniform")


@pytest.fixture
def model() -> Convolutional:
    torch.manual_seed(0)
    return Convolutional().eval()


@pytest.fixture
def ball(model) -> Ball:
    return Ball.of(Threat(eps=0.1), model.mean, model.std)


def test_the_walk_ends_where_pgd_does_and_starts_at_the_image(model, ball) -> None:
    x, y = random_images(1, SHAPE), torch.tensor([2])
    walk = path.walk(model, x, y, ball, ASCENT, seed=7)
    assert walk.shape == (6, *SHAPE)
    assert torch.equal(walk[:1], x)
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(walk[1:2], ball.start(x, ASCENT, generator))
    for steps in (1, 3, 4):
        shorter = ASCENT.model_copy(update={"steps": steps})
        end = pgd(model, x, y, ball, shorter, generator=torch.Generator().manual_seed(7))
        assert torch.equal(walk[1 + steps : 2 + steps], end)


def test_the_projected_walk_follows_the_changed_gradient(model, ball) -> None:
    x, y = random_images(1, SHAPE), torch.tensor([2])
    plain, turned = (
        path.walk(model, x, y, ball, ASCENT, seed=7, feature_gradient=change)
        for change in (None, torch.Tensor.neg)
    )
    assert torch.equal(plain[:2], turned[:2])
    moved = plain[2:3] - plain[1:2], turned[2:3] - turned[1:2]
    inside = (plain[1:2] - x).abs() < 0.1 - 0.04  # where a step of either sign stays in the ball
    inside &= (x > 0.2) & (x < 0.8)
    torch.testing.assert_close(moved[0][inside], -moved[1][inside], rtol=0, atol=1e-6)


def test_the_plane_holds_both_ends() -> None:
    x, first, second = random_images(3, SHAPE).split(1)
    plane = path.plane_of(x, first, second)
    basis = plane.axes.flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(2), rtol=0, atol=1e-5)
    ends = torch.cat([x, first, second])
    assert plane.distance(ends).max() < 1e-5
    coordinates = plane.coordinates(ends)
    torch.testing.assert_close(coordinates[1], torch.tensor([(first - x).norm(), 0.0]), rtol=0, atol=1e-5)
    back = x + (coordinates[:, :, None, None, None] * plane.axes).sum(dim=1)
    torch.testing.assert_close(back, ends, rtol=0, atol=1e-5)


def test_distance_from_the_plane() -> None:
    x = torch.zeros(1, 1, 1, 3)
    first, second, off = torch.eye(3).view(3, 1, 1, 1, 3)
    plane = path.plane_of(x, 2 * first, first + 3 * second)
    torch.testing.assert_close(plane.distance(torch.cat([first, second - 4 * off])), torch.tensor([0.0, 4.0]))


@pytest.mark.parametrize("factors", [(1.0, 2.0), (1.0, 0.0), (0.0, 1.0)])
def test_ends_on_one_line_span_no_plane(factors) -> None:
    x, d = random_images(1, SHAPE), random_images(1, SHAPE, seed=2)
    with pytest.raises(ConfigError, match="choose another `image`"):
        path.plane_of(x, x + factors[0] * d, x + factors[1] * d)


def test_the_grid_takes_in_all_points_with_a_margin() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.2], [0.4, -0.1]])
    rows, columns = path.grid_around(points, 11)
    assert len(rows) == 11
    assert rows[0] == pytest.approx(-0.2)
    assert rows[-1] == pytest.approx(1.2)
    assert columns[0] == pytest.approx(-0.3)
    assert columns[-1] == pytest.approx(0.4)
