"""Intervals and tests for error rates. All intervals are 95 %; nothing here imports torch."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95


def wilson(errors: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of an error rate, as fractions (Wilson 1927)."""
    interval = stats.binomtest(errors, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


class Paired(NamedTuple):
    """Two models or attacks on the same images: how many fell under one only, and the test's p-value."""

    only_first: int
    only_second: int
    p: float


def mcnemar(
    first: ArrayLike, second: ArrayLike, alternative: Literal["two-sided", "greater"] = "two-sided"
) -> Paired:
    """McNemar's exact test of two boolean outcomes (N,) on the same N images.

    Images on which both agree say nothing; among the others, under the null hypothesis, either is as likely
    to be the one that is true. `greater`: the alternative is that `first` is true more often. Raises
    ValueError if the lengths differ.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"outcomes of {a.size} and {b.size} images cannot be paired")
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    differing = only_first + only_second
    p = float(stats.binomtest(only_first, differing, alternative=alternative).pvalue) if differing else 1.0
    return Paired(only_first, only_second, p)


class Mean(NamedTuple):
    """A mean over seeds; `half_width` of its 95 % t-interval, None for a single seed."""

    mean: float
    half_width: float | None
    n: int


def mean_interval(values: Sequence[float]) -> Mean:
    """Mean of one value per seed, with Student's t-interval: mean +- t(n - 1) s / sqrt(n)."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Mean(mean, None, n)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Mean(mean, quantile * float(np.std(values, ddof=1)) / n**0.5, n)
