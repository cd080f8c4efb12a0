"""Predicates, taken apart: a claim is a conjunction of clauses, a clause a choice between conditions.

A condition has no notion of where numbers come from; `evidence` decides it.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log2
from typing import NamedTuple

import numpy as np

from robustfront.errors import ConfigError
from robustfront.reporting.claims.language import (
    Difference,
    Dynamics,
    Fluctuation,
    Predicate,
    Saturation,
    Series,
    Spread,
    Trend,
    Unmasked,
)
from robustfront.reporting.published import Row


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of several runs' errors, in points, must lie in [at_least, at_most]."""

    label: str
    table: str
    error: str
    weights: Mapping[str, float]
    at_least: float = -inf
    at_most: float = inf


@dataclass(frozen=True)
class Change:
    """A run's `clean` or `adversarial` validation error rises by at most `at_most` points in training.

    From the model it starts from, epoch 0, to the last epoch.
    """

    label: str
    run: str
    error: str
    at_most: float
    at_least: float = -inf


@dataclass(frozen=True)
class NotMasked:
    """A run passed its masking checks, and its strongest attack but AutoAttack is not refuted.

    In print: AutoAttack's error is at most `tolerance` below PGD's.
    """

    label: str
    table: str
    run: str
    tolerance: float


@dataclass(frozen=True)
class NotRun:
    """Stands for all conditions on a series of which runs are missing that it cannot do without."""

    runs: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True)
class Size:
    """Stands for a condition that has no direction where directions alone are judged."""

    of: Contrast | Change

    @property
    def label(self) -> str:
        return self.of.label


Condition = Contrast | Change | NotMasked | NotRun | Size
Clause = tuple[Condition, ...]
"""One of them must hold."""


class _Point(NamedTuple):
    run: str
    x: float
    text: str


def clauses(
    predicate: Predicate, dataset: str, rows: Sequence[Row], available: Collection[str]
) -> list[Clause]:
    """What must hold for the predicate to hold, on one of the paper's data sets.

    `rows`: of the table that a series is in; ConfigError if none is meant. `available`: the runs there are
    numbers of. Runs in the middle of a series may be absent; others are named whether or not they are there,
    so that a claim about all of them stays open if one is missing.
    """
    match predicate:
        case Difference():
            return [(contrast,) for contrast in _differences(predicate, dataset)]
        case Dynamics():
            limits = {"clean": predicate.clean_rise_at_most, "adversarial": 0.0}
            return [
                (Change(f"{run}, {error} validation error, last epoch minus start", run, error, at_most),)
                for run in predicate.runs
                for error, at_most in limits.items()
            ]
        case Unmasked(table=table, tolerance=tolerance):
            return [(NotMasked(run, table, run, tolerance),) for run in predicate.runs]
    return _of_series(predicate, dataset, rows, available)


def directions(clauses: Sequence[Clause]) -> list[Clause]:
    """The same with bounds at 0: what is left of them on data or settings that are not the paper's.

    Bounds on one side of 0 say which sign the quantity has. Those around 0 say how large it may be, and
    nothing is left.
    """
    return [tuple(map(_direction, clause)) for clause in clauses]


def _direction(condition: Condition) -> Condition:
    if not isinstance(condition, Contrast | Change):
        return condition
    if condition.at_least >= 0 and condition.at_most > 0:
        return replace(condition, at_least=0.0, at_most=inf)
    if condition.at_most <= 0 and condition.at_least < 0:
        return replace(condition, at_least=-inf, at_most=0.0)
    return Size(condition)


def _of_series(
    predicate: Trend | Saturation | Spread | Fluctuation,
    dataset: str,
    rows: Sequence[Row],
    available: Collection[str],
) -> list[Clause]:
    everywhere = _points(predicate, rows)
    required = [everywhere[0], everywhere[-1]]
    if isinstance(predicate, Saturation):
        required.append(_at(predicate, everywhere))
    if missing := tuple(point.run for point in required if point.run not in available):
        return [(NotRun(missing),)]
    points = [point for point in everywhere if point.run in available]
    match predicate:
        case Trend():
            return [(_trend(predicate, points, dataset),)]
        case Saturation():
            return [(_saturation(predicate, points),)]
        case Spread(at_most=bound):
            pairs = itertools.combinations(points, 2)
            return [(_step(predicate, a, b, at_least=-bound, at_most=bound),) for a, b in pairs]
    steps = list(itertools.pairwise(points))
    rises = tuple(_step(predicate, a, b, at_least=0.0) for a, b in steps)
    falls = tuple(_step(predicate, a, b, at_most=0.0) for a, b in steps)
    return [rises, falls]


def _differences(predicate: Difference, dataset: str) -> list[Contrast]:
    at_least, at_most = predicate.between(dataset)

    def contrast(label: str, weights: Mapping[str, float]) -> Contrast:
        return Contrast(label, predicate.table, predicate.error, weights, at_least, at_most)

    if predicate.average:
        weights = {run: 1 / len(predicate.of) for run in predicate.of}
        weights |= {run: -1 / len(predicate.minus) for run in predicate.minus}
        label = f"average of {', '.join(predicate.of)} − average of {', '.join(predicate.minus)}"
        return [contrast(label, weights)]
    pairs = itertools.product(predicate.of, predicate.minus)
    return [contrast(f"{run} − {other}", {run: 1.0, other: -1.0}) for run, other in pairs]


def _points(series: Series, rows: Sequence[Row]) -> list[_Point]:
    """The runs of the series in the paper's order."""
    meant = [row for row in rows if row.run and series.rows.items() <= row.labels.items()]
    points = {row.run: _point(series, row) for row in reversed(meant)}
    if len(points) < 2:
        raise ConfigError(
            f"claims.yaml: a series needs two rows at least: {len(points)} of {series.table} are "
            f"{', '.join(f'{label}: {text}' for label, text in series.rows.items())}"
        )
    return list(reversed(points.values()))


def _point(series: Series, row: Row) -> _Point:
    try:
        text = row.labels[series.along]
        x = float(text)
    except (KeyError, ValueError):
        raise ConfigError(
            f"claims.yaml: row {row.row} of {series.table} has no number in the label {series.along!r}"
        ) from None
    return _Point(row.run, log2(x) if series.log else x, text)


def _trend(series: Trend, points: list[_Point], dataset: str) -> Contrast:
    x = np.array([point.x for point in points])
    centred = x - x.mean()
    slope = centred / (centred**2).sum()
    weights = {point.run: float(w) for point, w in zip(points, slope * (x[-1] - x[0]), strict=True)}
    at_least, at_most = series.between(dataset)
    first, *_, last = (point.text for point in points)
    label = f"{series.words}, fitted change along {series.along} from {first} to {last} ({len(points)} runs)"
    return Contrast(label, series.table, series.error, weights, at_least, at_most)


def _saturation(series: Saturation, points: list[_Point]) -> Contrast:
    first, knee, last = points[0], _at(series, points), points[-1]
    before, after = 1 / (knee.x - first.x), 1 / (last.x - knee.x)
    weights = {first.run: -before, knee.run: before + after, last.run: -after}
    label = (
        f"{series.words}, slope along {series.along} from {first.text} to {knee.text} − slope from there to "
        f"{last.text}"
    )
    return Contrast(label, series.table, series.error, weights, at_most=0.0)


def _at(series: Saturation, points: Sequence[_Point]) -> _Point:
    knee = log2(series.knee) if series.log else series.knee
    found = next((point for point in points if point.x == knee), None)
    if found is None:
        raise ConfigError(f"claims.yaml: no row of {series.table} has {series.along} = {series.knee:g}")
    return found


def _step(series: Series, a: _Point, b: _Point, *, at_least: float = -inf, at_most: float = inf) -> Contrast:
    label = f"{series.words}, {series.along} {b.text} − {a.text}"
    return Contrast(label, series.table, series.error, {b.run: 1.0, a.run: -1.0}, at_least, at_most)
