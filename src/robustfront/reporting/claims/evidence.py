"""What decides a condition: the numbers a paper prints, or the artefacts of this project in one suite."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
import pandas as pd

from robustfront.artefacts import Layout
from robustfront.evaluation import outcomes
from robustfront.evaluation.statistics import (
    Interval,
    difference_interval,
    mcnemar,
    mean_interval,
    paired_interval,
)
from robustfront.reporting.claims.conditions import Change, Contrast, NotMasked
from robustfront.reporting.published import read_published
from robustfront.reporting.results import Plan, PlannedRun, read_history
from robustfront.reporting.tables import columns, masking_verdict


class Unknown(Exception):
    """Nothing is known of a condition; the message says why. `missing`: runs that this scale lacks."""

    def __init__(self, reason: str, missing: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.missing = missing


@dataclass(frozen=True)
class Estimate:
    """A quantity in points with its interval. `n`: images; `seeds`: how many; `p`: McNemar's exact test."""

    value: float
    low: float
    high: float
    n: int | None = None
    seeds: int | None = None
    p: float | None = None


class Evidence(Protocol):
    """A source of numbers. `Unknown` where it has none."""

    def available(self, table: str) -> Collection[str]:
        """Runs of the paper's table that it has numbers of."""

    def estimate(self, condition: Contrast | Change, confidence: float) -> Estimate:
        """The quantity that the condition bounds, with an interval of that confidence."""

    def masked(self, runs: Collection[str]) -> list[str]:
        """Those of the runs whose robust error may be higher than it seems."""

    def not_masked(self, condition: NotMasked) -> tuple[bool, str]:
        """Whether the condition holds, and the numbers it rests on."""


@dataclass(frozen=True)
class InPrint:
    """The paper's own numbers for one of its data sets: exact, as they stand."""

    dataset: str

    def available(self, table: str) -> Collection[str]:
        return set(_printed(table, self.dataset).index.get_level_values("run"))

    def estimate(self, condition: Contrast | Change, confidence: float) -> Estimate:
        if isinstance(condition, Change):
            raise Unknown("the paper shows curves and prints no numbers")
        errors = _printed(condition.table, self.dataset)
        if absent := [run for run in condition.weights if (run, condition.error) not in errors]:
            raise Unknown(f"the paper prints no numbers of {', '.join(absent)}")
        value = sum(weight * errors[run, condition.error] for run, weight in condition.weights.items())
        value = round(float(value), 6)  # 7.04 - 5.69 is 1.35
        return Estimate(value, value, value)

    def masked(self, runs: Collection[str]) -> list[str]:
        return []

    def not_masked(self, condition: NotMasked) -> tuple[bool, str]:
        errors = _printed(condition.table, self.dataset)
        pgd, autoattack = (float(errors[condition.run, attack]) for attack in ("pgd", "autoattack"))
        detail = f"{condition.run}: AutoAttack {autoattack:.2f}, PGD {pgd:.2f}"
        return round(pgd - autoattack, 6) <= condition.tolerance, detail


@dataclass(frozen=True)
class Measured:
    """The models of this project on one data set, attacked by one suite.

    Models are compared image by image: the interval of a contrast is over images, paired; of several seeds,
    Student's over seeds where that is wider. `checks`: what `results.masking_checks` returns.
    """

    plan: Plan
    layout: Layout
    checks: pd.DataFrame
    dataset_id: str
    suite_id: str
    _rows: dict[str, pd.DataFrame] = field(default_factory=dict)

    def available(self, table: str) -> Collection[str]:
        return {name for name in read_published(table)["run"].unique() if self._runs(name)}

    def estimate(self, condition: Contrast | Change, confidence: float) -> Estimate:
        if isinstance(condition, Change):
            return self._change(condition, confidence)
        runs = self._seeds(*condition.weights)
        seeds = sorted(set.intersection(*(set(found) for found in runs.values())))
        if not seeds:
            raise Unknown(f"{', '.join(runs)} share no seed")
        outcome = [self._fell(found[seed], condition.error) for seed in seeds for found in runs.values()]
        by_image = pd.concat(outcome, axis=1, join="inner").to_numpy()
        fell = by_image.reshape(len(by_image), len(seeds), len(runs))
        if condition.error != "clean" and self._helpless(fell):
            raise Unknown("under this attack all of these models do no better than guessing")
        weights = np.array(list(condition.weights.values()))
        contrasts = fell @ weights  # (images, seeds)
        extremes = float(weights[weights < 0].sum()), float(weights[weights > 0].sum())
        over_images = paired_interval(contrasts.mean(axis=1), *extremes, confidence)
        n = len(contrasts)
        if len(seeds) > 1:
            return _over_seeds(list(contrasts.mean(axis=0)), over_images, n, confidence)
        pair = sorted(weights) == [-1.0, 1.0]
        p = mcnemar(*fell[:, 0].T).p if pair else None
        return _in_points(over_images, n, p)

    def _helpless(self, fell: np.ndarray) -> bool:
        """Whether every model is wrong at least as often as a guess: then there is no comparing.

        `fell`: (images, seeds, models).
        """
        classes = next(iter(self._rows.values()))["label"].nunique()
        return bool((fell.mean(axis=0) >= 1 - 1 / classes).all())

    def masked(self, runs: Collection[str]) -> list[str]:
        return [name for name in runs if self._masking(name) == "failed"]

    def not_masked(self, condition: NotMasked) -> tuple[bool, str]:
        verdict = self._masking(condition.run)
        if verdict == "not checked":
            raise Unknown(f"{condition.run} was not checked")
        return verdict == "passed", f"{condition.run}: {verdict}"

    def _masking(self, name: str) -> str:
        runs = [run.id for run in self._seeds(name)[name].values()]
        return masking_verdict(self.checks, runs, self.suite_id)

    def _runs(self, name: str) -> Sequence[PlannedRun]:
        return self.plan.find(name, self.dataset_id)

    def _seeds(self, *names: str) -> dict[str, dict[int, PlannedRun]]:
        """Name -> seed -> run. `Unknown` if one has none."""
        runs = {name: {run.config.seed: run for run in self._runs(name)} for name in names}
        if missing := [name for name, found in runs.items() if not found]:
            raise Unknown(f"{', '.join(missing)} not run at this scale", missing)
        return runs

    def _fell(self, run: PlannedRun, error: str) -> "pd.Series[bool]":
        """Whether each test image was misclassified, by sample."""
        suite = self.plan.suites[self.suite_id]
        if error not in columns(suite):
            raise Unknown(f"suite {suite.name} has no attack of kind {error}")
        if run.id not in self._rows:
            self._rows[run.id], _ = outcomes.load(self.layout.evaluation(run.id, self.suite_id))
        return outcomes.successes(self._rows[run.id], columns(suite)[error])

    def _change(self, condition: Change, confidence: float) -> Estimate:
        """Validation attacks live in one space; a suite in another says nothing about them."""
        runs = list(self._seeds(condition.run)[condition.run].values())
        threat, suite = runs[0].config.training.validation.threat, self.plan.suites[self.suite_id]
        if threat is None or threat.space != suite.threat.space:
            raise Unknown(f"training is not watched in {suite.threat.space} space")
        ends = []
        for run in runs:
            accuracy = read_history(self.layout, run.id)[f"validation_{condition.error}_accuracy"].dropna()
            if accuracy.empty:
                raise Unknown(f"{condition.run} was not validated")
            ends.append((1 - float(accuracy.iloc[-1]), 1 - float(accuracy.iloc[0])))
        n = self.plan.datasets[self.dataset_id].splits.validation
        last, first = np.array(ends).T
        over_images = difference_interval(last.mean(), first.mean(), n, confidence)
        if len(ends) > 1:
            return _over_seeds(list(last - first), over_images, n, confidence)
        return _in_points(over_images, n, p=None)


@cache
def _printed(table: str, dataset: str) -> "pd.Series[float]":
    """Error in percent by run and attack."""
    printed = read_published(table)
    return printed[printed["dataset"] == dataset].set_index(["run", "attack"])["error_percent"]


def _in_points(interval: Interval, n: int, p: float | None) -> Estimate:
    mean, low, high = (100 * value for value in interval)
    return Estimate(mean, low, high, n, seeds=1, p=p)


def _over_seeds(values: list[float], over_images: Interval, n: int, confidence: float) -> Estimate:
    """Student's interval of a value per seed, but no narrower than that `over_images` of their average.

    All seeds are judged on one set of images: that they agree says nothing about other images.
    """
    mean, half_width, seeds = mean_interval(values, confidence)
    assert half_width is not None
    low, high = min(over_images.low, mean - half_width), max(over_images.high, mean + half_width)
    return Estimate(100 * mean, 100 * low, 100 * high, n, seeds)
