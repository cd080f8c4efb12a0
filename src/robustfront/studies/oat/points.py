"""Points of SA-RA frontiers: what each model is at each lambda, and which images fall there, and to whom."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from robustfront.config.evaluations import CLEAN, Suite, other_conditions
from robustfront.evaluation.outcomes import worst_case
from robustfront.evaluation.statistics import Interval, over_seeds, wilson
from robustfront.reporting.drawing import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results

TRANSFER, WORST = "transfer", "worst"
"""Beside the attacks of a suite: all that was made at other lambdas, and all attackers together."""

Fallen = dict[int, "pd.Series[bool]"]
"""Seed -> whether each image fell, by sample."""


@dataclass(frozen=True)
class Family:
    """Models whose points make one frontier.

    `run`: the one that is told lambda. Without: `runs`, the beginning of the names of models of one each, and
    `weight`, the parameter by which these differ; none where each is an epoch of one training, the best for
    its lambda, and told that.
    """

    name: str
    colour: str
    marker: str
    run: str = ""
    runs: tuple[str, ...] = ()
    weight: str = ""

    @property
    def of_epochs(self) -> bool:
        return not self.run and not self.weight


DEDICATED = "a model for each λ"
FAMILIES = (
    Family(DEDICATED, BLUE, "o", runs=("dedicated-",), weight="weight"),
    Family("OAT", VERMILION, "s", run="oat"),
    Family("OAT, dual batch norm", ORANGE, "D", run="oat-dual"),
    Family("OAT, dual batch norm, an epoch for each λ", "#5D4E8C", "d", runs=("oat-dual-best-at-",)),
    Family("OAT, λ as its own code", GREEN, "^", run="oat-raw"),
    Family("OAT, one λ per batch", "#CC79A7", "v", run="oat-by-batch"),
    Family("OAT, FiLM as in the public code", "#8C6D31", "P", run="oat-residual"),
    Family("for each λ, as cheap as OAT in all", SKY, "o", runs=("short-",), weight="weight"),
    Family("TRADES", GREY, "X", runs=("trades-",), weight="beta"),
)


@dataclass(frozen=True)
class Point:
    """A model at a lambda (of TRADES: beta). `suite`: the one whose attackers know it.

    `seen`: whether the model was trained at it. `fallen`: clean, the suite's attacks, and for a model that is
    told lambda `TRANSFER`, where there are any; `WORST` over all of them, on the images that all saw. What is
    not there is left out.
    """

    family: Family
    value: float
    runs: Sequence[PlannedRun]
    suite: str
    seen: bool = True
    fallen: Mapping[str, Fallen] = field(default_factory=dict, hash=False)

    @property
    def parameter(self) -> str:
        return "β" if self.family.weight == "beta" else "λ"

    def accuracy(self, attack: str) -> Interval | None:
        """The share of images that stand; 95 %, Wilson's interval, or over seeds where that is wider."""
        return standing(self.fallen[attack]) if attack in self.fallen else None

    def images(self, attack: str) -> int:
        return min(map(len, self.fallen[attack].values())) if attack in self.fallen else 0


def standing(fallen: Fallen) -> Interval:
    """The share of images that stand, over seeds."""
    shares = [1 - float(each.mean()) for each in fallen.values()]
    ends = [wilson(int(each.sum()), len(each)) for each in fallen.values()]
    low, high = (1 - sum(end[side] for end in ends) / len(ends) for side in (1, 0))
    return over_seeds(shares, Interval(sum(shares) / len(shares), low, high))


def points(results: Results, dataset_id: str) -> dict[str, list[Point]]:
    """Name of a family -> its points by rising lambda; families that the scale has no run of are left out."""
    found = {}
    for family in FAMILIES:
        of_family = _points(results, dataset_id, family)
        if made := sorted(of_family, key=lambda point: point.value):
            found[family.name] = made
    return found


def told_suites(results: Results) -> dict[str, Suite]:
    """Those that tell a lambda, by rising lambda."""
    telling = {name: suite for name, suite in results.suites.items() if suite.condition is not None}
    return dict(sorted(telling.items(), key=lambda each: each[1].condition or 0.0))


def _points(results: Results, dataset_id: str, family: Family) -> Iterator[Point]:
    suites = told_suites(results)
    if family.run:
        runs = results.find(family.run, dataset_id)
        for name in suites if runs else ():
            yield _told(results, family, runs, name)
        return
    names = dict.fromkeys(
        name for run in results.runs.values() for name in run.names if name.startswith(family.runs)
    )
    for name in names if suites else ():
        if runs := results.find(name, dataset_id):
            if family.of_epochs:
                (best_at,) = runs[0].config.training.validation.conditions
                yield from (
                    _told(results, family, runs, at) for at in suites if suites[at].condition == best_at
                )
            else:
                suite = next(iter(suites))
                value = float(runs[0].config.params[family.weight])
                yield Point(family, value, runs, suite, True, _fallen(runs, results, suite, []))


def _told(results: Results, family: Family, runs: Sequence[PlannedRun], name: str) -> Point:
    """A model as the suite of that name tells it."""
    value = told_suites(results)[name].condition or 0.0
    seen = value in runs[0].config.params["lambdas"]
    others = list(_made_elsewhere(results, name, value))
    return Point(family, value, runs, name, seen, _fallen(runs, results, name, others))


def _made_elsewhere(results: Results, at: str, value: float) -> Iterator[tuple[str, str]]:
    """What is made at another lambda and judged at this one: suite, shown attack."""
    for name, suite in told_suites(results).items():
        if name != at:
            judged = other_conditions(suite).items()
            yield from ((name, shown) for shown, condition in judged if condition == value)


def _fallen(
    runs: Sequence[PlannedRun], results: Results, suite: str, others: Sequence[tuple[str, str]]
) -> dict[str, Fallen]:
    """Under the attacks of a suite, and under all `others`, (suite, attack), together."""
    attacks = list(results.suites[suite].attacks)
    found: dict[str, Fallen] = {}
    for run in runs:
        own = {attack: results.fell(run.id, suite, attack) for attack in (CLEAN, *attacks)}
        transfers = [results.fell(run.id, *place) for place in others]
        own[TRANSFER] = _joined(transfers)
        own[WORST] = _joined([*(own[attack] for attack in attacks), *transfers])
        for attack, fell in own.items():
            if fell is not None:
                found.setdefault(attack, {})[run.config.seed] = fell
    return found


def _joined(fallen: "Sequence[pd.Series[bool] | None]") -> "pd.Series[bool] | None":
    """Whether each image fell to any; None if there are none, or one of them is missing."""
    known = [each for each in fallen if each is not None]
    return worst_case(known) if known and len(known) == len(fallen) else None
