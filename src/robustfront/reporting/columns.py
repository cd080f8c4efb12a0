"""What stands in a column of a table: errors or accuracies under an attack, or numbers made of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import pandas as pd

from robustfront.reporting.published import NO_ATTACK, refuted_in_print

if TYPE_CHECKING:
    from robustfront.reporting.results import Results

Metric = Literal["error", "accuracy", "loss", "gap"]
Unit = Literal["percent", "fraction", "nats"]
FACTOR: Mapping[str, float] = {"percent": 100.0, "fraction": 1.0, "nats": 1.0}


@dataclass(frozen=True)
class Printed:
    """Where a column's numbers stand in a published table; `eps`: as printed, empty if one alone is."""

    metric: str
    attack: str
    eps: str = ""


@dataclass(frozen=True)
class Column:
    """Error or accuracy under an attack.

    `attack`: what is shown in a suite (`clean`, `pgd-20`, `worst-case`), or a kind of attack (`pgd`), which
    means the suite's first one. `printed`: where the published numbers are; None: none are.
    """

    key: str
    heading: str
    attack: str
    metric: Metric = "error"
    unit: Unit = "percent"
    printed: Printed | None = None


class Number(NamedTuple):
    """A value in the unit of its column with its 95 % interval, over `n` images."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Quantity:
    """Another number of a run: a loss, or a difference between splits.

    `value`: from (results, id of the run); None if something is missing, which `suite` and `attack` tell.
    """

    key: str
    heading: str
    value: Callable[[Results, str], Number | None] = field(hash=False)
    suite: str
    attack: str = "clean"
    metric: Metric = "gap"
    unit: Unit = "percent"
    printed: Printed | None = None


@dataclass(frozen=True)
class Derived:
    """A weighted sum of other columns, such as their mean, or the difference of two.

    `of`: key of a column -> its weight; the columns have the metric and the unit of this one.
    """

    key: str
    heading: str
    of: Mapping[str, float] = field(hash=False)
    metric: Metric = "error"
    unit: Unit = "percent"
    printed: Printed | None = None


def mean_of(keys: Sequence[str]) -> dict[str, float]:
    """The weights of a mean."""
    return dict.fromkeys(keys, 1 / len(keys))


def errors(*shown: tuple[str, str, str]) -> tuple[Column, ...]:
    """Columns of errors in percent, from (attack, heading, attack in print).

    `none` is the attack of clean images in print.
    """
    return tuple(
        Column(attack, heading, attack, printed=Printed(_metric(attack, printed), printed))
        for attack, heading, printed in shown
    )


def _metric(attack: str, printed: str) -> str:
    return "clean_error" if printed == NO_ATTACK else "robust_error"


def printed_numbers(
    table: pd.DataFrame, column: Column | Derived | Quantity
) -> dict[str, tuple[float | None, str]]:
    """Row -> what the paper prints in a column, in the column's unit, and what beside it refutes it, if so.

    `table`: lines of one data set. None: a number is printed there that our source has lost.
    """
    if column.printed is None:
        return {}
    wanted, refuted = column.printed, refuted_in_print(table)
    lines = table[(table["metric"] == wanted.metric) & (table["attack"] == wanted.attack)]
    if wanted.eps:
        lines = lines[lines["eps"] == wanted.eps]
    known = lines.dropna(subset="value")
    factors = [FACTOR[column.unit] / FACTOR[unit] for unit in known["unit"]]
    return dict.fromkeys(lines["row"], (None, "")) | {
        row: (value * factor, refuted.get(line, ""))
        for line, row, value, factor in zip(known.index, known["row"], known["value"], factors, strict=True)
    }
