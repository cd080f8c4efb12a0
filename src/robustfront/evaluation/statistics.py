"""Intervals (of 95 % unless said otherwise) and tests for error rates; nothing here imports torch."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special  # scipy.stats takes over a second to import

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def wilson(errors: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of an error rate, as fractions (Wilson 1927)."""
    rate, z = errors / n, _normal_quantile(CONFIDENCE)
    centre, scale = rate + z**2 / (2 * n), 1 + z**2 / n
    half_width = z * (rate * (1 - rate) / n + (z / (2 * n)) ** 2) ** 0.5
    low, high = (centre - half_width) / scale, (centre + half_width) / scale
    return (low if errors else 0.0), (high if errors < n else 1.0)


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
    if alternative == "greater":  # P(X >= only_first) of X ~ Binomial(differing, 1/2)
        p = special.bdtr(only_second, differing, 0.5)
    else:
        p = min(1.0, 2 * special.bdtr(min(only_first, only_second), differing, 0.5))
    return Paired(only_first, only_second, float(p))


def paired_interval(
    values: ArrayLike, lowest: float, highest: float, confidence: float = CONFIDENCE
) -> Interval:
    """Mean over images of a quantity in [`lowest`, `highest`], such as the difference of two models' errors.

    Two imaginary images, one at either extreme, are added before the normal interval is formed, which keeps
    it honest for small samples: for the difference of two error rates it is Bonett and Price's (2012).
    """
    real = np.asarray(values, dtype=float)
    padded = np.append(real, [lowest, highest])
    half_width = _normal_quantile(confidence) * padded.std() / len(padded) ** 0.5
    low, high = np.clip([padded.mean() - half_width, padded.mean() + half_width], lowest, highest)
    return Interval(float(real.mean()), float(low), float(high))


def difference_interval(first: float, second: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """First minus second of two rates, each over `n` images (Agresti and Caffo 2000).

    They are taken as independent: of one set of images it is too wide rather than too narrow.
    """
    rates = (n * np.array([first, second]) + 1) / (n + 2)
    half_width = _normal_quantile(confidence) * float((rates * (1 - rates) / (n + 2)).sum()) ** 0.5
    centre = float(rates[0] - rates[1])
    return Interval(first - second, max(-1.0, centre - half_width), min(1.0, centre + half_width))


class Mean(NamedTuple):
    """A mean over seeds; `half_width` of its t-interval, None for a single seed."""

    mean: float
    half_width: float | None
    n: int


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Mean:
    """Mean of one value per seed, with Student's t-interval: mean +- t(n - 1) s / sqrt(n)."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Mean(mean, None, n)
    quantile = float(special.stdtrit(n - 1, (1 + confidence) / 2))
    return Mean(mean, quantile * float(np.std(values, ddof=1)) / n**0.5, n)


def over_seeds(values: Sequence[float], over_images: Interval, confidence: float = CONFIDENCE) -> Interval:
    """Mean of one value per seed: Student's interval, but no narrower than that `over_images` of their mean.

    All seeds are judged on one set of images: that they agree says nothing about other images. Of one seed it
    is the interval over images.
    """
    mean, half_width, _ = mean_interval(values, confidence)
    if half_width is None:
        return Interval(mean, over_images.low, over_images.high)
    return Interval(mean, min(over_images.low, mean - half_width), max(over_images.high, mean + half_width))


def chance_of_more(than: float, n: int, share: float) -> float:
    """The probability that over `than` of `n` images do what each of them does with probability `share`."""
    return float(special.bdtrc(int(than), n, share)) if than < n else 0.0


def _normal_quantile(confidence: float) -> float:
    return float(special.ndtri((1 + confidence) / 2))
