"""What decides a condition: the numbers a paper prints, or the artefacts of this project in one suite."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd

from robustfront.config.evaluations import CLEAN
from robustfront.evaluation.comparisons import STRONGEST, strongest_first
from robustfront.evaluation.statistics import (
    Interval,
    difference_interval,
    mcnemar,
    over_seeds,
    paired_interval,
)
from robustfront.reporting.claims.conditions import Change, Contrast, NotMasked
from robustfront.reporting.doubts import checks, masking_verdict, refutation
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.published import printed_errors
from robustfront.reporting.results import Results


class Unknown(Exception):
    """Nothing is known of a condition; the message says why. `missing`: runs that this scale lacks."""

    def __init__(self, reason: str, missing: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.missing = missing


@dataclass(frozen=True)
class Estimate:
    """A quantity in points with its interval. `n`: images; `seeds`: how many; `p`: McNemar's exact test.

    `attack`: whose errors they are, by its name in the suite.
    """

    value: float
    low: float
    high: float
    n: int | None = None
    seeds: int | None = None
    p: float | None = None
    attack: str = ""


class Evidence(Protocol):
    """A source of numbers. `Unknown` where it has none."""

    def available(self, table: str) -> Collection[str]:
        """Runs of the paper's table that it has numbers of."""

    def estimate(self, condition: Contrast | Change, confidence: float) -> Estimate:
        """The quantity that the condition bounds, with an interval of that confidence."""

    def masked(self, runs: Collection[str], error: str) -> list[str]:
        """Those of the runs that failed a masking check at the condition of this robust error."""

    def refuted(self, runs: Collection[str], error: str) -> list[str]:
        """Those of the runs whose robust error another attack in the same ball refutes."""

    def in_batches(self, runs: Collection[str]) -> list[str]:
        """Those of the runs whose answer to an image depends on the rest of its batch."""

    def not_masked(self, condition: NotMasked) -> tuple[bool, str]:
        """Whether the condition holds, and the numbers it rests on."""


@dataclass(frozen=True)
class InPrint:
    """The paper's own numbers for one of its data sets: exact, as they stand."""

    results: Results
    dataset: str
    _known: dict[str, dict[tuple[str, str], list[float]]] = field(default_factory=dict)

    def available(self, table: str) -> Collection[str]:
        return {run for run, _ in self._errors(table)}

    def estimate(self, condition: Contrast | Change, confidence: float) -> Estimate:
        if isinstance(condition, Change):
            raise Unknown("the paper shows curves and prints no numbers")
        errors = self._printed(condition.table, condition.error, condition.weights)
        value = sum(weight * errors[run] for run, weight in condition.weights.items())
        value = round(float(value), 6)  # 7.04 - 5.69 is 1.35
        return Estimate(value, value, value)

    def masked(self, runs: Collection[str], error: str) -> list[str]:
        return []

    def refuted(self, runs: Collection[str], error: str) -> list[str]:
        return []

    def in_batches(self, runs: Collection[str]) -> list[str]:
        return []

    def not_masked(self, condition: NotMasked) -> tuple[bool, str]:
        run, table = condition.run, condition.table
        pgd, autoattack = (self._printed(table, attack, [run])[run] for attack in ("pgd", "autoattack"))
        detail = f"{run}: AutoAttack {autoattack:.2f}, PGD {pgd:.2f}"
        return round(pgd - autoattack, 6) <= condition.tolerance, detail

    def _printed(self, table: str, error: str, runs: Collection[str]) -> dict[str, float]:
        """Run -> its error in points. `Unknown` unless there is one number of each."""
        found = {run: self._errors(table).get((run, error.casefold()), []) for run in runs}
        for count, words in ((0, "no numbers"), (2, "several numbers")):
            if meant := [run for run, numbers in found.items() if min(len(numbers), 2) == count]:
                raise Unknown(f"the paper prints {words} of {', '.join(meant)}")
        return {run: numbers[0] for run, numbers in found.items()}

    def _errors(self, table: str) -> dict[tuple[str, str], list[float]]:
        if table not in self._known:
            self._known[table] = printed_errors(self.results.published(table), self.dataset)
        return self._known[table]


@dataclass(frozen=True)
class Measured:
    """The models of this project on one data set, attacked by one suite.

    Models are compared image by image: the interval of a contrast is over images, paired; of several seeds,
    Student's over seeds where that is wider.
    """

    results: Results
    dataset_id: str
    suite: str

    def available(self, table: str) -> Collection[str]:
        return {row.run for row in self.results.rows(table) if row.run and self._runs(row.run)}

    def estimate(self, condition: Contrast | Change, confidence: float) -> Estimate:
        if isinstance(condition, Change):
            return self._change(condition, confidence)
        self._check_planned(*condition.weights)
        fallen = {name: self._fell(name, condition.error) for name in condition.weights}
        seeds = sorted(set.intersection(*(set(found) for found in fallen.values())))
        if not seeds:
            raise Unknown(f"{', '.join(fallen)} share no seed")
        outcome = [found[seed] for seed in seeds for found in fallen.values()]
        by_image = pd.concat(outcome, axis=1, join="inner").to_numpy()
        fell = by_image.reshape(len(by_image), len(seeds), len(fallen))
        if condition.error != CLEAN and self._helpless(fell, next(iter(condition.weights))):
            raise Unknown("under this attack all of these models do no better than guessing")
        weights = np.array(list(condition.weights.values()))
        contrasts = fell @ weights  # (images, seeds)
        extremes = float(weights[weights < 0].sum()), float(weights[weights > 0].sum())
        over_images = paired_interval(contrasts.mean(axis=1), *extremes, confidence)
        n = len(contrasts)
        _, called = self._place(next(iter(fallen)), condition.error)
        if len(seeds) > 1:
            found = _over_seeds(list(contrasts.mean(axis=0)), over_images, n, confidence)
            return replace(found, attack=called)
        pair = sorted(weights) == [-1.0, 1.0]
        p = mcnemar(*fell[:, 0].T).p if pair else None
        return replace(_in_points(over_images, n, p), attack=called)

    def _helpless(self, fell: np.ndarray, name: str) -> bool:
        """Whether every model is wrong at least as often as a guess: then there is no comparing.

        `fell`: (images, seeds, models); `name`: of any of the models.
        """
        suite = self._suite(name)
        classes = max(self.results.classes(run.id, suite) for run in self._runs(name))
        return classes > 0 and bool((fell.mean(axis=0) >= 1 - 1 / classes).all())

    def masked(self, runs: Collection[str], error: str) -> list[str]:
        verdicts = {
            name: masking_verdict(self.results, self._trained(name), *self._place(name, error))
            for name in runs
        }
        return [name for name, verdict in verdicts.items() if verdict == "failed"]

    def refuted(self, runs: Collection[str], error: str) -> list[str]:
        return [
            name for name in runs if refutation(self.results, self._trained(name), *self._place(name, error))
        ]

    def in_batches(self, runs: Collection[str]) -> list[str]:
        return [name for name in runs if any(run.config.model.looks_at_batches for run in self._runs(name))]

    def not_masked(self, condition: NotMasked) -> tuple[bool, str]:
        """Open too if another attack refutes the strongest one but AutoAttack, whose own number may stand."""
        name, suite = condition.run, self._suite(condition.run)
        self._check_planned(name)
        of = self.results.suites[suite]
        if not (trained := self._trained(name)):
            raise Unknown(f"{name} was not checked")
        if any(suite not in self.results.suites_of(run) for run in trained):
            raise Unknown(f"{name}: not attacked so")
        verdict = masking_verdict(self.results, trained, suite)
        made = [check for run in trained for check in checks(self.results, run, suite)]
        named = dict.fromkeys(check.check for check in made if check.state == verdict)
        if verdict in ("not checked", "undecided"):
            raise Unknown(f"{name}: {verdict} ({', '.join(named)})")
        if verdict == "failed":
            return False, f"{name}: failed ({', '.join(named)})"
        others = [attack for attack in strongest_first(of) if of.attacks[attack].kind != STRONGEST]
        for attack in others[:1]:
            if refuted := refutation(self.results, trained, suite, attack):
                raise Unknown(f"{name}: all checks passed, but {attack} is refuted: {refuted}")
        return True, f"{name}: passed"

    def _trained(self, name: str) -> list[str]:
        return [run.id for run in self._runs(name) if self.results.state(run.id) == "trained"]

    def _runs(self, name: str) -> Sequence[PlannedRun]:
        return self.results.find(name.partition("@")[0], self.dataset_id)

    def _suite(self, name: str) -> str:
        """The suite whose numbers of the run are meant: that of `run@suite`, which need not be this one."""
        suite = name.partition("@")[2] or self.suite
        if suite not in self.results.suites:
            raise Unknown(f"suite {suite} is not part of this scale")
        return suite

    def _place(self, name: str, error: str) -> tuple[str, str]:
        """Suite and attack of a run's error."""
        suite = self._suite(name)
        return suite, self._attack(suite, error)

    def _check_planned(self, *names: str) -> None:
        """`Unknown` if the scale has not got all of the runs."""
        if missing := [name for name in names if not self._runs(name)]:
            raise Unknown(f"{', '.join(missing)} not run at this scale", missing)

    def _fell(self, name: str, error: str) -> "dict[int, pd.Series[bool]]":
        """Seed -> whether each test image was misclassified, by sample, for the seeds that have results."""
        runs, (suite, attack) = self._runs(name), self._place(name, error)
        fallen = {run.config.seed: self.results.fell(run.id, suite, attack) for run in runs}
        known = {seed: each for seed, each in fallen.items() if each is not None}
        if not known:
            raise Unknown(f"{name}: {self.results.lacks(runs[0].id, suite, attack) or 'damaged'}")
        return known

    def _attack(self, suite: str, error: str) -> str:
        """What the suite shows for it; `Unknown` if there is no such attack."""
        attack = self.results.attack(suite, error)
        if attack is None:
            raise Unknown(f"suite {suite} has no attack {error}")
        return attack

    def _change(self, condition: Change, confidence: float) -> Estimate:
        """Validation attacks live in one space; a suite in another says nothing about them.

        Of the runs whose history tells of their start: older ones have no epoch 0.
        """
        self._check_planned(condition.run)
        runs = self._runs(condition.run)
        threat, space = (
            runs[0].config.training.validation.threat,
            self.results.suites[self.suite].threat.space,
        )
        if threat is None or threat.space != space:
            raise Unknown(f"training is not watched in {space} space")
        histories = [history for run in runs if (history := self.results.history(run.id)) is not None]
        if not histories:
            raise Unknown(f"{condition.run}: {self.results.state(runs[0].id)}")
        ends, column = [], f"validation_{condition.error}_accuracy"
        for history in histories:
            judged = history[["epoch", column]].dropna() if column in history else pd.DataFrame()
            if judged.empty:
                raise Unknown(f"{condition.run} was not validated")
            if judged["epoch"].iloc[0] == 0:
                ends.append((1 - float(judged[column].iloc[-1]), 1 - float(judged[column].iloc[0])))
        if not ends:
            raise Unknown(f"{condition.run}: its history.csv is older than epoch 0, the start")
        held_out = self.results.datasets[self.dataset_id].splits.validation
        n = self.results.manifest(runs[0].id).get("selected_on", held_out)
        last, first = np.array(ends).T
        over_images = difference_interval(last.mean(), first.mean(), n, confidence)
        if len(ends) > 1:
            return _over_seeds(list(last - first), over_images, n, confidence)
        return _in_points(over_images, n, p=None)


def _in_points(interval: Interval, n: int, p: float | None) -> Estimate:
    mean, low, high = (100 * value for value in interval)
    return Estimate(mean, low, high, n, seeds=1, p=p)


def _over_seeds(values: list[float], over_images: Interval, n: int, confidence: float) -> Estimate:
    mean, low, high = (100 * value for value in over_seeds(values, over_images, confidence))
    return Estimate(mean, low, high, n, len(values))
