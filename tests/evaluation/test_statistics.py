import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from robustfront.evaluation.statistics import mcnemar, mean_interval, wilson


@pytest.mark.parametrize(("errors", "n"), [(0, 20), (3, 20), (10, 20), (20, 20), (437, 1000)])
def test_wilson_interval_is_where_the_score_test_rejects(errors: int, n: int) -> None:
    z = stats.norm.ppf(0.975)
    for bound in wilson(errors, n):
        if 0 < bound < 1:
            assert abs(errors / n - bound) == pytest.approx(z * (bound * (1 - bound) / n) ** 0.5)
    low, high = wilson(errors, n)
    assert 0 <= low <= errors / n <= high <= 1


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


def test_a_single_seed_has_no_interval() -> None:
    assert mean_interval([0.5]) == (0.5, None, 1)


def test_statistics_and_outcomes_import_no_torch() -> None:
    code = "import sys, robustfront.evaluation.outcomes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
