import subprocess
import sys
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from robustfront.evaluation.statistics import (
    difference_interval,
    mcnemar,
    mean_interval,
    paired_interval,
    wilson,
)


@pytest.mark.parametrize(("errors", "n"), [(0, 20), (3, 20), (10, 20), (20, 20), (437, 1000)])
def test_wilson_interval_is_where_the_score_test_rejects(errors: int, n: int) -> None:
    z = stats.norm.ppf(0.975)
    for bound in wilson(errors, n):
        if 0 < bound < 1:
            assert abs(errors / n - bound) == pytest.approx(z * (bound * (1 - bound) / n) ** 0.5)
    low, high = wilson(errors, n)
    assert 0 <= low <= errors / n <= high <= 1


@pytest.mark.parametrize(("errors", "n"), [(0, 64), (1, 64), (20, 64), (64, 64), (8418, 10_000)])
def test_wilson_interval_is_scipys(errors: int, n: int) -> None:
    assert wilson(errors, n) == pytest.approx(
        tuple(stats.binomtest(errors, n).proportion_ci(0.95, method="wilson")), abs=1e-12
    )


def test_wilson_interval_holds_the_truth_95_times_in_100() -> None:
    draws = np.random.default_rng(0).binomial(200, 0.07, size=2000)
    intervals = {k: wilson(int(k), 200) for k in np.unique(draws)}
    covered = np.mean([intervals[k][0] <= 0.07 <= intervals[k][1] for k in draws])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_mcnemar_counts_what_differs_and_tests_it_exactly() -> None:
    first = [True] * 9 + [False] + [True] * 5 + [False] * 5
    second = [False] * 9 + [True] + [True] * 5 + [False] * 5
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (9, 1)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(first, second, "greater").p == pytest.approx((1 + 10) / 2**10)
    assert mcnemar(second, first, "greater").p == pytest.approx(1 - 1 / 2**10)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (0, 7), (7, 0), (5, 5), (31, 12)])
def test_mcnemar_is_the_binomial_test_of_what_differs(
    only_first: int, only_second: int, alternative: Literal["two-sided", "greater"]
) -> None:
    first = [True] * only_first + [False] * only_second
    differing = max(only_first + only_second, 1)
    expected = stats.binomtest(only_first, differing, alternative=alternative).pvalue
    if only_first + only_second:
        found = mcnemar(first, [not value for value in first], alternative)
        assert found.p == pytest.approx(expected, abs=1e-12)
    else:
        assert mcnemar([True], [True], alternative).p == 1.0


def test_paired_interval_of_a_difference_is_bonett_and_prices() -> None:
    values = [1.0] * 12 + [-1.0] * 3 + [0.0] * 85
    found = paired_interval(values, -1.0, 1.0)
    p12, p21 = 13 / 102, 4 / 102
    half = stats.norm.ppf(0.975) * ((p12 + p21 - (p12 - p21) ** 2) / 102) ** 0.5
    assert found == pytest.approx((0.09, p12 - p21 - half, p12 - p21 + half))


@pytest.mark.parametrize(("only_first", "only_second"), [(6, 0), (5, 0), (20, 8), (18, 9), (120, 80)])
def test_paired_interval_leaves_out_0_where_mcnemars_test_finds_a_difference(
    only_first: int, only_second: int
) -> None:
    n = 400
    first = [True] * only_first + [False] * (n - only_first)
    second = [False] * (n - only_second) + [True] * only_second
    values = np.array(first, dtype=float) - np.array(second, dtype=float)
    found = paired_interval(values, -1.0, 1.0)
    assert (found.low > 0) == (mcnemar(first, second).p < 0.05)


def test_paired_interval_of_three_models_holds_the_truth_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    truth = 0.4 - 1.5 * 0.3 + 0.5 * 0.2
    covered = []
    for _ in range(1000):
        shared = rng.random(1000)  # images that are hard for one model are hard for the others
        fell = [shared < rate for rate in (0.4, 0.3, 0.2)]
        low, high = paired_interval(fell[0] - 1.5 * fell[1] + 0.5 * fell[2], -1.5, 1.5)[1:]
        covered.append(low <= truth <= high)
    assert np.mean(covered) == pytest.approx(0.955, abs=0.025)


def test_paired_interval_narrows_with_images_and_widens_with_confidence() -> None:
    values = np.resize([1.0, 0.0, 0.0, -1.0, 0.0, 1.0], 60)
    few, many = paired_interval(values, -1, 1), paired_interval(np.resize(values, 600), -1, 1)
    sure = paired_interval(values, -1, 1, confidence=0.99)
    assert sure.low < few.low < many.low < few.mean < many.high < few.high < sure.high
    assert paired_interval([1.0, 1.0], -1, 1).high == 1.0


def test_difference_of_independent_rates_is_agresti_and_caffos() -> None:
    found = difference_interval(0.3, 0.1, 50)
    p, q = 16 / 52, 6 / 52
    half = stats.norm.ppf(0.975) * ((p * (1 - p) + q * (1 - q)) / 52) ** 0.5
    assert found == pytest.approx((0.2, p - q - half, p - q + half))
    assert difference_interval(1.0, 0.0, 2).high <= 1.0


def test_mcnemar_of_equal_outcomes_finds_nothing() -> None:
    assert mcnemar([True, False], [True, False]) == (0, 0, 1.0)


def test_mcnemar_refuses_outcomes_of_different_images() -> None:
    with pytest.raises(ValueError, match="3 and 2 images"):
        mcnemar([True, True, False], [True, False])


def test_mean_interval_is_students() -> None:
    values = [0.41, 0.44, 0.40, 0.47]
    mean, half, n = mean_interval(values)
    assert half is not None
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (mean - half, mean + half, n) == pytest.approx((low, high, 4))


def test_mean_interval_widens_with_confidence() -> None:
    low, high = stats.ttest_1samp([1.0, 2.0, 4.0], 0.0).confidence_interval(0.99)
    assert mean_interval([1.0, 2.0, 4.0], 0.99).half_width == pytest.approx((high - low) / 2)


def test_a_single_seed_has_no_interval() -> None:
    assert mean_interval([0.5]) == (0.5, None, 1)


def test_statistics_and_outcomes_import_no_torch() -> None:
    code = "import sys, robustfront.evaluation.outcomes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
