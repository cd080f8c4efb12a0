import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.config.schema import Ascent, Threat

MEAN = torch.tensor([0.5, 0.3, 0.45]).view(1, 3, 1, 1)
STD = torch.tensor([0.25, 0.1, 0.4]).view(1, 3, 1, 1)
KINDS = [(norm, space) for norm in ("linf", "l2") for space in ("pixel", "normalised")]


def ball(norm: str = "linf", space: str = "pixel", eps: float = 0.1, clip: str = "image") -> Ball:
    threat = Threat.model_validate({"norm": norm, "eps": eps, "space": space, "clip": clip})
    return Ball.of(threat, MEAN.double(), STD.double())


def ascent(start: str, **settings: float) -> Ascent:
    given = {"steps": 1, "step_size": 0.1, "start": start, "clip_start": False}
    return Ascent.model_validate(given | settings)


def random(seed: int, *, low: float = 0.0, high: float = 1.0, n: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(n, 3, 5, 4, generator=generator, dtype=torch.float64)


seeds = st.integers(0, 10_000)
radii = st.sampled_from([1e-6, 0.01, 8 / 255, 0.3, 0.9])


@pytest.mark.parametrize(("norm", "space"), KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, eps=radii)
def test_projection_lands_inside_and_stays_there(norm: str, space: str, seed: int, eps: float) -> None:
    b, x, far = ball(norm, space, eps), random(seed), random(seed + 1, low=-2, high=3)
    once = b.project(far, x)
    assert b.contains(once, x).all()
    assert (b.distance(once, x) <= eps * (1 + 1e-9) + 1e-12).all()
    assert once.min() >= 0
    assert once.max() <= 1
    torch.testing.assert_close(b.project(once, x), once, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("norm", "space"), KINDS)
def test_projection_leaves_points_of_the_ball_alone(norm: str, space: str) -> None:
    b, x = ball(norm, space), random(0, low=0.2, high=0.8)
    near = x + 1e-3 * (random(1) - 0.5)
    assert torch.equal(b.project(near, x), near)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, eps=radii)
def test_linf_projection_is_the_nearest_point_so_it_is_non_expansive(seed: int, eps: float) -> None:
    b, x = ball("linf", "normalised", eps), random(seed)
    u, v = random(seed + 1, low=-2, high=3), random(seed + 2, low=-2, high=3)
    gap = (b.project(u, x) - b.project(v, x)).flatten(1).norm(dim=1)
    assert (gap <= (u - v).flatten(1).norm(dim=1) + 1e-12).all()


def test_l2_projection_keeps_the_direction_in_the_space_of_the_threat() -> None:
    b, x = ball("l2", "normalised", 0.2), torch.full((1, 3, 5, 4), 0.5, dtype=torch.float64)
    delta = 0.3 * (random(0, n=1) - 0.5)
    z = delta / STD
    torch.testing.assert_close(b.project(x + delta, x), x + STD * 0.2 * z / z.norm())


@pytest.mark.parametrize(("space", "unit"), [("pixel", torch.ones_like(STD)), ("normalised", STD)])
def test_linf_radius_in_pixels_is_eps_times_the_unit(space: str, unit: Tensor) -> None:
    b, x = ball("linf", space, 0.2), torch.full((1, 3, 5, 4), 0.5, dtype=torch.float64)
    torch.testing.assert_close(b.project(x + 1, x) - x, (0.2 * unit.double()).expand_as(x))
    torch.testing.assert_close(x - b.project(x - 1, x), (0.2 * unit.double()).expand_as(x))


def test_distance_is_measured_in_units_of_the_space() -> None:
    x = torch.full((1, 3, 5, 4), 0.5, dtype=torch.float64)
    moved = x.clone()
    moved[0, 1, 2, 3] += 0.05
    assert ball("linf", "pixel").distance(moved, x).item() == pytest.approx(0.05)
    assert ball("linf", "normalised").distance(moved, x).item() == pytest.approx(0.5)
    moved[0, 2, 0, 0] -= 0.16
    assert ball("l2", "normalised").distance(moved, x).item() == pytest.approx((0.25 + 0.16) ** 0.5)


@pytest.mark.parametrize(("norm", "space"), KINDS)
def test_contains_refuses_what_is_too_far_outside_the_box_or_not_a_number(norm: str, space: str) -> None:
    b, x = ball(norm, space, 0.5), random(3, low=0.1, high=0.9)
    x[0, 0, 0, 0] = 1.0
    bad = x.clone()
    bad[0, 0, 0, 0] = 1.0001
    bad[1] += 0.55
    bad[2, 0, 0, 0] = float("nan")
    assert b.contains(bad, x).tolist() == [False, False, False, True]


def test_normalised_unit_clip_lifts_pixels_below_the_mean_and_still_counts_the_rest() -> None:
    b = ball("linf", "normalised", 0.1, clip="normalised-unit")
    x = torch.full((1, 3, 5, 4), 0.1, dtype=torch.float64)
    lifted = b.project(x, x)
    torch.testing.assert_close(lifted, MEAN.double().expand_as(x), rtol=0, atol=1e-7)
    assert b.contains(lifted, x).all()
    assert not b.contains(x, x).any()
    assert not b.contains(lifted + 0.11 * STD, x).any()
    high = torch.ones_like(x)
    z = (b.project(high, high) - MEAN) / STD
    assert z.max() <= 1 + 1e-6


@pytest.mark.parametrize(("norm", "space"), KINDS)
@pytest.mark.parametrize("start", ["none", "gaussian", "sign", "uniform"])
def test_starts_lie_in_the_ball_and_are_drawn_from_the_generator(norm: str, space: str, start: str) -> None:
    b, x, clipped = ball(norm, space, 0.1), random(0), ascent(start, clip_start=True)
    first, second = (b.start(x, clipped, torch.Generator().manual_seed(5)) for _ in range(2))
    assert b.contains(first, x).all()
    assert torch.equal(first, second)
    other = b.start(x, clipped, torch.Generator().manual_seed(6))
    assert torch.equal(first, other) == (start == "none")
    if start == "none":
        assert torch.equal(first, x)


@pytest.mark.parametrize(("norm", "space"), KINDS)
@pytest.mark.parametrize("start", ["gaussian", "sign", "uniform"])
def test_starts_stay_where_the_noise_falls_unless_they_are_to_be_clipped(
    norm: str, space: str, start: str
) -> None:
    b, x = ball(norm, space, 0.1), random(0).round()  # black and white: half of all noise leaves the box
    free, clipped = (
        b.start(x, ascent(start, clip_start=clip), torch.Generator().manual_seed(5)) for clip in (False, True)
    )
    outside = (free < 0) | (free > 1)
    assert 0.4 < outside.double().mean() < 0.6
    assert (b.distance(free, x) <= 0.1 * (1 + 1e-12)).all(), "the ball is not left by noise this small"
    assert torch.equal(clipped, free.clamp(0, 1))


def test_a_given_start_is_clipped_like_any_other() -> None:
    b, x = ball(eps=0.1), random(0)
    far = x + 0.5
    assert torch.equal(b.start(x, ascent("uniform"), None, far), far)
    assert torch.equal(b.start(x, ascent("uniform", clip_start=True), None, far), b.project(far, x))


def test_gaussian_start_has_the_stated_deviation_in_units_of_the_space() -> None:
    b, x = ball("linf", "normalised", 0.5), torch.full((500, 3, 5, 4), 0.5, dtype=torch.float64)
    start = b.start(x, ascent("gaussian", start_std=0.01), torch.Generator().manual_seed(0))
    assert ((start - x) / STD).std().item() == pytest.approx(0.01, rel=0.02)


def test_sign_start_is_up_or_down_by_the_same_length_for_each_value() -> None:
    b, x = ball("linf", "normalised", 0.5), torch.full((500, 3, 5, 4), 0.5, dtype=torch.float64)
    start = b.start(x, ascent("sign", start_std=0.1), torch.Generator().manual_seed(0))
    moved = (start - x) / STD
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.1))
    assert (moved > 0).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_uniform_l2_start_is_uniform_in_volume() -> None:
    threat = Threat(norm="l2", eps=0.2)
    b, x = Ball.of(threat, MEAN[:, :1], STD[:, :1]), torch.full((4000, 1, 1, 3), 0.5)
    radius = b.distance(b.start(x, ascent("uniform"), torch.Generator().manual_seed(0)), x)
    share = (radius <= 0.1).float().mean().item()  # half the radius holds 1/8 of a three-dimensional ball
    assert share == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("space", ["pixel", "normalised"])
def test_l2_step_is_the_steepest_of_its_length(space: str) -> None:
    b, x, gradient = ball("l2", space), random(0), random(1, low=-1, high=1)
    delta = b.step(x, gradient, 0.3) - x
    torch.testing.assert_close(
        (delta / b.scale).flatten(1).norm(dim=1), torch.full((4,), 0.3, dtype=torch.float64)
    )
    gain = (delta * gradient).sum(dim=(1, 2, 3))
    for seed in range(20):
        other = random(seed + 2, low=-1, high=1)
        other = 0.3 * b.scale * other / other.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        assert ((other * gradient).sum(dim=(1, 2, 3)) < gain).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_zero_gradient_moves_nothing(norm: str) -> None:
    b, x = ball(norm, "normalised"), random(0)
    assert torch.equal(b.step(x, torch.zeros_like(x), 0.3), x)


def test_l2_step_survives_gradients_whose_squares_underflow() -> None:
    b = Ball.of(Threat(norm="l2", eps=1.0), MEAN, STD)
    x, gradient = random(0).float(), (random(1) - 0.5).float()
    torch.testing.assert_close(b.step(x, 1e-30 * gradient, 0.3), b.step(x, gradient, 0.3))


def test_memory_format_is_kept() -> None:
    b, x = ball("linf", "normalised"), random(0).contiguous(memory_format=torch.channels_last)
    start = b.start(x, ascent("uniform"), None)
    assert start.is_contiguous(memory_format=torch.channels_last)
    assert b.project(b.step(start, x, 0.1), x).is_contiguous(memory_format=torch.channels_last)
