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

Fallen = list["pd.Series[bool]"]
"""Of each seed, whether each image fell, by sample."""


@dataclass(frozen=True)
class Family:
    """Models whose points make one frontier.

    `run`: the one that is told lambda. Without: `runs`, the beginnings of the names of models of one each,
    and `weight`, the parameter by which these differ.
    """

    name: str
    colour: str
    marker: str
    run: str = ""
    runs: tuple[str, ...] = ()
    weight: str = ""


DEDICATED = "a model for each λ"
FAMILIES = (
    Family(DEDICATED, BLUE, "o", runs=("dedicated-",), weight="weight"),
    Family("OAT", VERMILION, "s", run="oat"),
    Family("OAT, dual batch norm", ORANGE, "D", run="oat-dual"),
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
        return len(self.fallen[attack][0]) if attack in self.fallen else 0


def standing(fallen: Fallen) -> Interval:
    """The share of images that stand, over seeds."""
    shares = [1 - float(each.mean()) for each in fallen]
    ends = [wilson(int(each.sum()), len(each)) for each in fallen]
    low, high = (1 - sum(end[side] for end in ends) / len(ends) for side in (1, 0))
    return over_seeds(shares, Interval(sum(shares) / len(shares), low, high))


def points(results: Results, dataset_id: str) -> dict[str, list[Point]]:
    """Name of a family -> its points by rising lambda; families that the scale has no run of are left out."""
    found = {}
    for family in FAMILIES:
        of_family = (
            _told(results, dataset_id, family) if family.run else _dedicated(results, dataset_id, family)
        )
        if made := sorted(of_family, key=lambda point: point.value):
            found[family.name] = made
    return found


def told_suites(results: Results) -> dict[str, Suite]:
    """Those that tell a lambda, by rising lambda."""
    telling = {name: suite for name, suite in results.suites.items() if suite.condition is not None}
    return dict(sorted(telling.items(), key=lambda each: each[1].condition or 0.0))


def _told(results: Results, dataset_id: str, family: Family) -> Iterator[Point]:
    runs = results.find(family.run, dataset_id)
    for name, suite in told_suites(results).items() if runs else ():
        value = suite.condition or 0.0
        seen = value in runs[0].config.params["lambdas"]
        places = [(name, CLEAN), *((name, attack) for attack in suite.attacks)]
        others = list(_made_elsewhere(results, name, value))
        yield Point(family, value, runs, name, seen, _fallen(results, runs, places, others))


def _made_elsewhere(results: Results, at: str, value: float) -> Iterator[tuple[str, str]]:
    """What is made at another lambda and judged at this one: suite, shown attack."""
    for name, suite in told_suites(results).items():
        if name != at:
            judged = other_conditions(suite).items()
            yield from ((name, shown) for shown, condition in judged if condition == value)


def _dedicated(results: Results, dataset_id: str, family: Family) -> Iterator[Point]:
    suites = told_suites(results)
    names = dict.fromkeys(
        name for run in results.runs.values() for name in run.names if name.startswith(family.runs)
    )
    for name in names:
        if (runs := results.find(name, dataset_id)) and suites:
            suite = next(iter(suites))
            places = [(suite, CLEAN), *((suite, attack) for attack in suites[suite].attacks)]
            value = float(runs[0].config.params[family.weight])
            yield Point(family, value, runs, suite, True, _fallen(results, runs, places, []))


def _fallen(
    results: Results,
    runs: Sequence[PlannedRun],
    places: Sequence[tuple[str, str]],
    others: Sequence[tuple[str, str]],
) -> dict[str, Fallen]:
    """Of the places, (suite, attack) with clean first, and of all `others` together."""

    def of(place: tuple[str, str]) -> Fallen:
        found = [results.fell(run.id, *place) for run in runs]
        return [each for each in found if each is not None]

    own = {attack: made for (suite, attack) in places if (made := of((suite, attack)))}
    transfers = [made for place in others if (made := of(place))]
    whole = len(own) == len(places) and len(transfers) == len(others)
    found = dict(own)
    if transfers:
        found[TRANSFER] = _joined(transfers)
    attacked = [made for attack, made in own.items() if attack != CLEAN] + transfers
    if attacked and whole:
        found[WORST] = _joined(attacked)
    return found


def _joined(several: Sequence[Fallen]) -> Fallen:
    """Seed by seed, whether each image fell to any; seeds that one of them lacks are left out."""
    return [worst_case(list(one)) for one in zip(*several, strict=False)]
