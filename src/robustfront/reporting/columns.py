"""What stands in a column of a table: errors or accuracies under an attack, or numbers made of others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from robustfront.reporting.published import NO_ATTACK, refuted_in_print

Metric = Literal["error", "accuracy"]
Unit = Literal["percent", "fraction"]
FACTOR: Mapping[str, float] = {"percent": 100.0, "fraction": 1.0}


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


def printed_numbers(table: pd.DataFrame, column: Column | Derived) -> dict[str, tuple[float, str]]:
    """Row -> what the paper prints in a column, in the column's unit, and what beside it refutes it, if so.

    `table`: lines of one data set. Rows without a number are left out.
    """
    if column.printed is None:
        return {}
    wanted, refuted = column.printed, refuted_in_print(table)
    lines = table[(table["metric"] == wanted.metric) & (table["attack"] == wanted.attack)]
    if wanted.eps:
        lines = lines[lines["eps"] == wanted.eps]
    lines = lines.dropna(subset="value")
    factors = [FACTOR[column.unit] / FACTOR[unit] for unit in lines["unit"]]
    return {
        row: (value * factor, refuted.get(line, ""))
        for line, row, value, factor in zip(lines.index, lines["row"], lines["value"], factors, strict=True)
    }
