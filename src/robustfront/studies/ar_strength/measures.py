"""What the paper measures of a network, each with what an image contributes to it.

A quantity is a number made of means over the images of one or two splits. What each image contributes (its
influence, of mean 0) gives the variance of the number, and of the difference of two networks on the same
images; for numbers that are no mean, such as a standard deviation, to first order (the delta method).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from robustfront.evaluation.statistics import Interval, over_seeds
from robustfront.reporting.columns import Number
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results

TEST, TRAIN = "test", "train"
"""Suites, and the splits that they look at."""
Z = 1.959964
"""Of a normal 95 % interval."""


@dataclass(frozen=True)
class Measured:
    """A number. `influence`: split -> what each of its images contributes, in a fixed order."""

    value: float
    influence: Mapping[str, np.ndarray]

    def minus(self, other: "Measured") -> "Measured":
        """The difference, of two networks on the same images."""
        parts = {split: self.influence[split] - other.influence[split] for split in self.influence}
        return Measured(self.value - other.value, parts)

    @property
    def error(self) -> float:
        """Standard error over images."""
        return sqrt(sum(float(each.var()) / len(each) for each in self.influence.values()))

    @property
    def interval(self) -> Interval:
        return Interval(self.value, self.value - Z * self.error, self.value + Z * self.error)

    @property
    def images(self) -> int:
        """Of the smaller split."""
        return min(map(len, self.influence.values()))


Quantity = Callable[[Results, str], Measured | None]
"""Of (results, id of a run); None if something is missing."""


def _mean(values: np.ndarray, split: str) -> Measured:
    return Measured(float(values.mean()), {split: values - values.mean()})


def _less(first: Measured | None, second: Measured | None) -> Measured | None:
    """The difference of two splits."""
    if first is None or second is None:
        return None
    influence = {**first.influence, **{split: -each for split, each in second.influence.items()}}
    return Measured(first.value - second.value, influence)


def _loss(results: Results, run: str, split: str) -> Measured | None:
    found = results.losses(run, split)
    return None if found is None else _mean(found.sort_index().to_numpy(), split)


def _error(results: Results, run: str, split: str) -> Measured | None:
    found = results.fell(run, split, "clean")
    return None if found is None else _mean(found.sort_index().to_numpy(float), split)


def test_loss(results: Results, run: str) -> Measured | None:
    """Mean cross entropy of clean test images, nats."""
    return _loss(results, run, TEST)


def train_loss(results: Results, run: str) -> Measured | None:
    """The same of clean training images, without augmentation."""
    return _loss(results, run, TRAIN)


def loss_gap(results: Results, run: str) -> Measured | None:
    """The paper's GE gap: test loss less training loss."""
    return _less(test_loss(results, run), train_loss(results, run))


def test_error(results: Results, run: str) -> Measured | None:
    """Share of clean test images that are wrong."""
    return _error(results, run, TEST)


def error_gap(results: Results, run: str) -> Measured | None:
    """Test error less training error, which is training accuracy less test accuracy."""
    return _less(test_error(results, run), _error(results, run, TRAIN))


def robust_of_correct(results: Results, run: str) -> Measured | None:
    """Appendix D.2: of the test images that are right when clean, the share that PGD leaves right."""
    clean, attacked = results.fell(run, TEST, "clean"), results.fell(run, TEST, "pgd")
    if clean is None or attacked is None:
        return None
    right = ~clean.sort_index().loc[attacked.sort_index().index].to_numpy(bool)
    stands = right & ~attacked.sort_index().to_numpy(bool)
    if not right.any():
        return None
    value = stands.sum() / right.sum()
    return Measured(float(value), {TEST: (stands - value * right) / right.mean()})


def margin_spread(split: str) -> Quantity:
    """Standard deviation of the margins of a split, in logits."""

    def measure(results: Results, run: str) -> Measured | None:
        margins = margins_of(results, run, split)
        if margins is None:
            return None
        centred, std = margins - margins.mean(), float(margins.std())
        return Measured(std, {split: (centred**2 - std**2) / (2 * max(std, 1e-300))})

    return measure


def margin_distance(split: str) -> Quantity:
    """Mean distance of the margins of a split from 0, in logits."""

    def measure(results: Results, run: str) -> Measured | None:
        margins = margins_of(results, run, split)
        return None if margins is None else _mean(np.abs(margins), split)

    return measure


def margins_of(results: Results, run: str, split: str) -> np.ndarray | None:
    """Of a run that was looked at (the first seed)."""
    for item in results.analysed("confidence"):
        if item.run.id == run:
            return item.array(f"{split}.margins").astype(float)
    return None


QUANTITIES: Mapping[str, Quantity] = {
    "train_loss": train_loss,
    "test_loss": test_loss,
    "loss_gap": loss_gap,
    "test_error": test_error,
    "error_gap": error_gap,
    "robust_of_correct": robust_of_correct,
    "test_margin_spread": margin_spread(TEST),
    "train_margin_spread": margin_spread(TRAIN),
    "test_margin_distance": margin_distance(TEST),
    "train_margin_distance": margin_distance(TRAIN),
}
"""By the name that claims.yaml uses."""


def change(
    quantity: Quantity, first: Sequence[PlannedRun], last: Sequence[PlannedRun], results: Results
) -> tuple[Interval, int] | None:
    """By how much a quantity differs from `first` to `last`, with a 95 % interval; and how many seeds.

    Of several seeds, Student's over seeds or that over images, at either end the wider one. None if no seed
    has both.
    """
    found = []
    for run in first:
        for other in last:
            if run.config.seed == other.config.seed:
                before, after = quantity(results, run.id), quantity(results, other.id)
                if before is not None and after is not None:
                    found.append(after.minus(before))
    if not found:
        return None
    if len(found) == 1:
        return found[0].interval, 1
    mean = sum(one.value for one in found) / len(found)
    wide = sum(one.error for one in found) / len(found)
    images = Interval(mean, mean - Z * wide, mean + Z * wide)
    return over_seeds([one.value for one in found], images), len(found)


def number(quantity: Quantity, factor: float = 1.0) -> Callable[[Results, str], Number | None]:
    """What a table's column asks for: the quantity times a factor, with its interval."""

    def measured(results: Results, run: str) -> Number | None:
        found = quantity(results, run)
        if found is None:
            return None
        value, low, high = (factor * each for each in found.interval)
        return Number(value, low, high, found.images)

    return measured
