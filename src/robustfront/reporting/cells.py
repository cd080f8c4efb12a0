"""What fills one cell of a table: a number of all seeds with its interval, or why there is none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from robustfront.evaluation.statistics import Interval, over_seeds
from robustfront.reporting.columns import FACTOR, Column, Number, Quantity
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Rate, Results, State

WORST_FIRST: Sequence[State] = ("diverged", "failed", "damaged", "not made yet", "not attacked so")

SUMMED = "sum of 95 % intervals"
NORMAL = "normal 95 %"


@dataclass(frozen=True)
class Cell:
    """`seeds`: those that there is a value of; `lacking`: seed -> why there is none of it.

    `interval`: what the interval of one seed is.
    """

    seeds: Mapping[int, Number]
    lacking: Mapping[int, State]
    interval: str = "Wilson 95 %"

    @property
    def state(self) -> State | None:
        """The worst of what is lacking, if there is no value at all."""
        return None if self.seeds else next(state for state in WORST_FIRST if state in self.lacking.values())

    @property
    def lacks(self) -> str:
        """`1 diverged, 2 not made yet`; empty if every seed has a value."""
        counts = Counter(self.lacking.values())
        return ", ".join(f"{counts[state]} {state}" for state in WORST_FIRST if counts[state])

    def summary(self) -> dict[str, Any]:
        """`value`, `low`, `high`, `interval`, `seeds`, `n`.

        Of one seed its own interval. Of several their mean, with Student's 95 % interval over seeds or the
        mean of their own, at either end the wider one: however alike the same images are to all seeds, their
        mean is no less sure than that. It may leave the range of the value.
        """
        found = list(self.seeds.values())
        values, lows, highs = ([getattr(seed, name) for seed in found] for name in ("value", "low", "high"))
        mean, low, high = over_seeds(values, Interval(fmean(values), fmean(lows), fmean(highs)))
        several = f"t 95 % over {len(found)} seeds or {self.interval}, the wider"
        return {
            "value": mean,
            "low": low,
            "high": high,
            "interval": self.interval if len(found) == 1 else several,
            "seeds": len(found),
            "n": found[0].n,
        }


def measured(runs: Sequence[PlannedRun], suite: str, attack: str, column: Column, results: Results) -> Cell:
    """Of the runs, one per seed, what a suite found under one of its attacks."""
    seeds, lacking = dict[int, Number](), dict[int, State]()
    for run in runs:
        rate = results.rate(run.id, suite, attack)
        if rate is not None:
            seeds[run.config.seed] = _seed(rate, column)
        elif state := results.lacks(run.id, suite, attack):
            lacking[run.config.seed] = state
    return Cell(seeds, lacking)


def quantity(runs: Sequence[PlannedRun], column: Quantity, results: Results) -> Cell:
    """Of the runs, one per seed, what the column asks of each."""
    seeds, lacking = dict[int, Number](), dict[int, State]()
    for run in runs:
        found = column.value(results, run.id)
        if found is not None:
            seeds[run.config.seed] = found
        else:
            state = results.lacks(run.id, column.suite, column.attack)
            lacking[run.config.seed] = state or "not made yet"
    return Cell(seeds, lacking, NORMAL)


def combined(parts: Sequence[tuple[float, Cell]]) -> Cell:
    """The weighted sum of several cells, seed by seed, for the seeds that all of them have.

    Its interval reaches as far as the ends of theirs together, which is far enough however they depend on
    each other.
    """
    lacking = {seed: state for _, cell in parts for seed, state in cell.lacking.items()}
    common = [seed for seed in parts[0][1].seeds if all(seed in cell.seeds for _, cell in parts)]
    seeds = {seed: _sum([(weight, cell.seeds[seed]) for weight, cell in parts]) for seed in common}
    return Cell(seeds, lacking, SUMMED)


def _sum(terms: Sequence[tuple[float, Number]]) -> Number:
    value = sum(weight * seed.value for weight, seed in terms)
    low = sum(weight * (seed.low if weight > 0 else seed.high) for weight, seed in terms)
    high = sum(weight * (seed.high if weight > 0 else seed.low) for weight, seed in terms)
    return Number(value, low, high, min(seed.n for _, seed in terms))


def _seed(rate: Rate, column: Column) -> Number:
    factor, errors = FACTOR[column.unit], (rate.error, rate.low, rate.high)
    if column.metric == "error":
        value, low, high = (factor * error for error in errors)
    else:
        value, high, low = (factor * (1 - error) for error in errors)
    return Number(value, low, high, rate.n)
