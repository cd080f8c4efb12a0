"""The numbers that a paper prints, and the rows they stand in: files of a study's folder.

`published/<table>.csv` has one schema for all papers, a line per printed number. `rows.yaml` says what stands
at the head of each row of a table, and which of our runs it is.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ConfigDict

from robustfront.config.layers import Layer
from robustfront.config.quantities import Name
from robustfront.config.schema import Config
from robustfront.config.validation import validate
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ConfigError
from robustfront.evaluation.comparisons import REFUTING_GAP

COLUMNS = ["table", "row", "run", "dataset", "metric", "attack", "eps", "value", "unit"]
"""`row`: which one of the table, as `rows.yaml` calls it; `run`: ours, empty if none is it.

`metric`: `clean_error`, `robust_error`, `clean_accuracy`, `robust_accuracy`, or another; `attack`: as the
paper calls it, `none` of clean images; `eps`: as it writes it; `value`: empty where the number is not known;
`unit`: `percent`, `fraction`, or what else the paper counts in.
"""

RATES = ("clean_error", "robust_error", "clean_accuracy", "robust_accuracy")
RATE_UNITS = {"percent": 100, "fraction": 1}
"""Unit of a rate -> its largest value."""

KEY = ["row", "dataset", "metric", "attack", "eps"]
"""What no two lines of a table share."""

NO_ATTACK = "none"
"""The attack of clean images in print."""


@dataclass(frozen=True)
class Row:
    """A row of a table. `run`: the name of ours, empty if there is none; `labels`: as printed, by column."""

    row: str
    run: str
    labels: Mapping[str, str]


class _Row(Config):
    """A row in `rows.yaml`: beside these keys its labels."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]

    row: str | None = None
    run: str = ""


class _File(Config):
    tables: dict[Name, tuple[_Row, ...]]


def read_published(path: Path) -> pd.DataFrame:
    """The printed numbers of one table. ConfigError naming the file and the line at fault.

    Texts, but for `value` (float, NaN where it is empty).
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if list(table) != COLUMNS:
        raise ConfigError(
            f"{path}: has columns {', '.join(map(str, table))}; they must be {', '.join(COLUMNS)}"
        )
    values = pd.to_numeric(table["value"].replace("", "nan"), errors="coerce")
    rates = table["metric"].isin(RATES)
    most = table["unit"].map(RATE_UNITS)
    if (lines := rates & most.isna()).any():
        first = int(lines.argmax())
        raise ConfigError(
            f"{path}: line {first + 2}: unit = {table['unit'][first]!r}: must be "
            f"{' or '.join(RATE_UNITS)}, as {table['metric'][first]} is a rate"
        )
    wrong = {
        "is no number": values.isna() & ~table["value"].isin(["", "nan"]),
        "is no rate in its unit": rates & ((values < 0) | (values > most)),
        "the same number is given twice": table.duplicated(KEY),
    }
    for what, lines in wrong.items():
        if lines.any():
            first = int(lines.argmax())
            raise ConfigError(f"{path}: line {first + 2}: value = {table['value'][first]!r}: {what}")
    return table.assign(value=values)


def read_rows(path: Path) -> dict[str, list[Row]]:
    """Table -> its rows, as printed; a row without a name of its own is called by its position, from 1.

    ConfigError naming the key at fault; two rows of one name, or with different labels, are one.
    """
    file = validate(_File, [Layer("", load_yaml(path))], source=str(path))
    return {name: _named(rows, f"{path}: tables.{name}") for name, rows in file.tables.items()}


def of_published(table: pd.DataFrame) -> list[Row]:
    """The rows of a table that has no others: each is headed by its name."""
    found = table.drop_duplicates("row")
    return [Row(row, run, {"row": row}) for row, run in zip(found["row"], found["run"], strict=True)]


def check_rows(rows: Sequence[Row], table: pd.DataFrame, where: str) -> None:
    """ConfigError if printed numbers belong to no row, or to one of another run."""
    runs = {row.row: row.run for row in rows}
    for row, run in table[["row", "run"]].drop_duplicates().itertuples(index=False):
        if row not in runs:
            raise ConfigError(f"{where}: row {row!r} is none of the rows of rows.yaml")
        if runs[row] != run:
            raise ConfigError(f"{where}: row {row!r} is run {run!r}, in rows.yaml {runs[row]!r}")


def printed_errors(table: pd.DataFrame, dataset: str) -> dict[tuple[str, str], list[float]]:
    """(run, attack in small letters, `clean` of clean images) -> its errors in points, for a data set.

    They are several where an attack has several radii.
    """
    found: dict[tuple[str, str], list[float]] = {}
    lines = table[(table["dataset"] == dataset) & (table["run"] != "")].dropna(subset="value")
    for run, metric, attack, value, unit in lines[["run", "metric", "attack", "value", "unit"]].itertuples(
        index=False
    ):
        kind, _, quantity = metric.partition("_")
        if kind != ("clean" if attack == NO_ATTACK else "robust") or quantity not in ("error", "accuracy"):
            continue
        points = value if unit == "percent" else 100 * value
        key = run, "clean" if attack == NO_ATTACK else attack.casefold()
        found.setdefault(key, []).append(points if quantity == "error" else 100 - points)
    return found


def refuted_in_print(table: pd.DataFrame) -> dict[Hashable, str]:
    """Index of a line -> which attack that is printed beside it refutes its robust number, and by how much.

    `table`: lines of one data set. Beside it stands what is printed for the same row and radius, if that is
    stated. Told is the furthest off, if over `REFUTING_GAP`; luck is left out, as papers test on thousands.
    """
    robust = table["metric"].isin(["robust_error", "robust_accuracy"]) & (table["eps"] != "")
    lines = table[robust].dropna(subset="value")
    points = 100 * lines["value"] / lines["unit"].map(RATE_UNITS).astype("float64")
    lines = lines.assign(error=points.where(lines["metric"] == "robust_error", 100 - points).round(4))
    found: dict[Hashable, str] = {}
    for _, beside in lines.groupby(["row", "eps"]):
        worst = beside.sort_values("error").iloc[-1]
        more = (worst["error"] - beside["error"]).round(4)
        for line, attack in beside.loc[more > 100 * REFUTING_GAP, "attack"].items():
            found[line] = f"in print {worst['attack']} fells {more[line]:.1f} points more than {attack}"
    return found


def _named(rows: Sequence[_Row], where: str) -> list[Row]:
    found = [
        Row(str(position) if row.row is None else row.row, row.run, dict(row.__pydantic_extra__))
        for position, row in enumerate(rows, 1)
    ]
    names = [row.row for row in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{where}: two rows are called {twice[0]!r}")
    for row in found:
        if row.labels.keys() != found[0].labels.keys():
            raise ConfigError(
                f"{where}: row {row.row!r} has the labels {', '.join(row.labels)}, the first one "
                f"{', '.join(found[0].labels)}; give all rows the same"
            )
    return found
