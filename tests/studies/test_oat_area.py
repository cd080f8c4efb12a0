"""Areas below frontiers against counting, and their intervals against what is known of means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustfront.studies.oat.area import compared, dominated

coordinate = st.integers(0, 40)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6))
def test_the_area_is_that_of_the_cells_below_some_point(points: list[tuple[int, int]]) -> None:
    cells = np.zeros((40, 40), dtype=bool)
    for x, y in points:
        cells[:x, :y] = True
    found = dominated(np.array(points, dtype=float) / 40)
    assert found == pytest.approx(cells.sum() / 40**2)


def images(*rates: tuple[float, float], count: int = 400, seed: int = 0) -> np.ndarray:
    """(1, N, K, 2): images stand at these rates, clean and attacked, the same easy ones first."""
    ease = np.random.default_rng(seed).random(count)
    stands = [[ease < rate for rate in point] for point in rates]
    return np.array(stands, dtype=float).transpose(2, 0, 1)[None]


def test_a_frontier_has_nothing_over_itself() -> None:
    own = images((0.9, 0.2), (0.7, 0.5))
    (area, nothing), (same, more) = compared([own, own])
    clean, robust = own[0].mean(axis=0).T
    assert area == same
    assert area.value == pytest.approx(100 * (clean[0] * robust[0] + clean[1] * (robust[1] - robust[0])))
    assert area.low < area.value < area.high
    assert nothing == more == (0, 0, 0)


def test_a_difference_is_paired_by_image() -> None:
    """Two points at clean 1: areas are robust accuracies, whose difference here comes of 20 images alone."""
    base = images((2.0, 0.5))
    better = base.copy()
    standing = np.flatnonzero(base[0, :, 0, 1] == 0)[:20]
    better[0, standing, 0, 1] = 1
    (_, _), (area, more) = compared([base, better])
    assert more.value == pytest.approx(5)
    spread = 100 * (0.05 * 0.95 / 400) ** 0.5
    assert more.low == pytest.approx(5 - 1.96 * spread, abs=0.3)
    assert more.high == pytest.approx(5 + 1.96 * spread, abs=0.3)
    assert area.high - area.low > 2 * (more.high - more.low)


def test_seeds_are_averaged() -> None:
    one, other = images((0.9, 0.3)), images((0.5, 0.5), seed=1)
    (both, _), *_ = compared([np.concatenate([one, other])])
    (first, _), *_ = compared([one])
    (second, _), *_ = compared([other])
    assert both.value == pytest.approx((first.value + second.value) / 2)
