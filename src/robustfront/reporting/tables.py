"""Tables of a study: row and column specifications, and what is printed and what was measured in one frame.

`rendering` writes it to files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from robustfront.config.evaluations import Network, Suite, other_conditions, told
from robustfront.config.schema import Dataset
from robustfront.evaluation.verdicts import together
from robustfront.reporting import wording
from robustfront.reporting.cells import Cell, combined, measured, quantity
from robustfront.reporting.columns import Column, Derived, Quantity, printed_numbers
from robustfront.reporting.doubts import masking_verdict, refutation
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.published import Row
from robustfront.reporting.results import Results

PUBLISHED = "published"
"""Source of the paper's own numbers."""

REPRODUCED, NOT_PRINTED, NOT_RUN = "reproduced", "not printed", "not run at this scale"
LOST = "numeral lost in our source"
"""With `PUBLISHED` and the states of `results`, what `status` says of a line."""


ROW_COLUMNS = ("row", "run")
COLUMNS = (
    *(
        "dataset",
        "published_as",
        "source",
        "suite",
        "space",
        "threat",
        "split",
        "condition",
        "batches",
        "column",
        "heading",
        "attack",
        "metric",
    ),
    *("status", "value", "low", "high", "unit", "interval", "seeds", "n", "lacking", "masking", "refuted"),
)
"""Of the frame of every table: before its labels, and after them."""


@dataclass(frozen=True)
class Source:
    """A group of columns of ours: attacks as the `suite` has them, or the suite that `elsewhere` names.

    `elsewhere`: key of a column -> name of a suite, where one of another norm, radius or split is meant.
    """

    name: str
    suite: str
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def suite_of(self, column: Column) -> str:
        return self.elsewhere.get(column.key, self.suite)


@dataclass(frozen=True)
class TableSpec:
    """What a table looks like.

    `labels`: label of its rows -> heading. `columns`: of every source, as far as its suite has the attack.
    `published`: the name of the paper's table, whose numbers and rows are shown; without, or for other rows,
    `rows`. `sources`: empty, each suite of the study is one. `block`: the label at whose change a line is
    ruled. `settings`: label -> the setting of runs that it tells, as study.yaml calls it; a row whose run has
    another than the paper states says which. `notes`: the first ones below it.
    """

    title: str
    labels: Mapping[str, str]
    columns: Sequence[Column | Derived | Quantity]
    published: str = ""
    rows: Sequence[Row] = ()
    sources: Sequence[Source] = ()
    notes: Sequence[str] = ()
    block: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if taken := [label for label in self.labels if label in COLUMNS]:
            raise ValueError(f"label {taken[0]!r} is a column of every table; call it otherwise")


@dataclass(frozen=True)
class Table:
    """A table as made. `frame`: see `reproduce`."""

    spec: TableSpec
    frame: pd.DataFrame


def reproduce(spec: TableSpec, results: Results) -> Table:
    """The table with our numbers beside the printed ones, for every data set of the study.

    A line of `frame` per row, data set, source and column:

    - `row`, `run`: the row as `rows.yaml` calls it, and the name of its run; then the labels as printed, and
      what our run has instead (`ImageNet; here: from scratch`);
    - `dataset`, `published_as`: our data set and the one whose printed numbers stand beside it;
    - `source`, `suite`, `space`, `threat`, `split`: `published` or the group's name, the suite the number is
      from, its threat model and its images;
    - `condition`: what the network was told when it judged, empty for one that is told nothing; `batches`: of
      how many images, if its answer to an image depends on its batch, and empty if not;
    - `column`, `heading`: key of the column, and what stands above it; `attack`: what the suite, or the
      paper, calls it, empty for a number computed from other columns;
    - `metric` (error, accuracy, loss, gap), `unit` (percent, fraction, nats) of `value`, `low`, `high`;
      `interval`: of one seed, a 95 % interval over images; of several, that or Student's over seeds, at
      either end the wider one, which may leave the range;
    - `seeds`, `n`: how many seeds, how many images each; `lacking`: the seeds without a value;
    - `masking`: whether all gradient-masking checks of these weights, at this condition, passed: `passed`,
      `failed`, `not checked`, `undecided` (nothing was found, on too few images to find it);
    - `refuted`: which other attack in the same ball says that this is no robust error, and by how much; empty
      if none does. Printed numbers are held against those that are printed beside them;
    - `status`: `published`, `numeral lost in our source` (the paper prints a number, the text that we have of
      it lacks it), `not printed`; `reproduced`, `not run at this scale`, or why there is no value:
      `diverged`, `failed`, `damaged`, `not made yet`, `not attacked so` (the suite is for other runs);
    - `scale`: the label of the study's numbers.
    """
    rows = list(spec.rows) or results.rows(spec.published)
    lines: list[dict[str, Any]] = []
    otherwise = {label: results.otherwise(setting) for label, setting in spec.settings.items()}
    for dataset_id, dataset in results.datasets.items():
        printed = _printed(spec, results, dataset_id)
        threat = getattr(results.study.facts, "threat", "")
        groups = [(source, _attacks(spec, source, results)) for source in _sources(spec, results)]
        for row in rows:
            runs = results.find(row.run, dataset_id) if row.run else []
            labels = _labels(row, runs, otherwise)
            key = {"row": row.row, "run": row.run, **labels, "dataset": dataset.name}
            key["published_as"] = results.published_as(dataset_id)
            lines += [key | line | {"threat": threat} for line in _lines_in_print(row, printed)]
            for source, attacks in groups:
                cells = _cells(spec, source, attacks, runs, results)
                for column in spec.columns:
                    if column.key in cells:
                        line = _line(column, source, attacks, cells[column.key], runs, dataset, results)
                        lines.append(key | line)
    return Table(spec, _tidy(lines, spec, results.label))


def _labels(
    row: Row, runs: Sequence[PlannedRun], otherwise: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """The row's labels; `otherwise`: of some of them, run id -> what ours has instead."""
    labels = dict(row.labels)
    for label, values in otherwise.items():
        if found := dict.fromkeys(values[run.id] for run in runs if run.id in values):
            labels[label] = "; ".join([labels[label], f"here: {', '.join(found)}"])
    return labels


def _sources(spec: TableSpec, results: Results) -> Sequence[Source]:
    return spec.sources or [Source(suite, suite) for suite in results.suites]


def _attacks(spec: TableSpec, source: Source, results: Results) -> dict[str, tuple[str, str]]:
    """Key of a column -> the suite and attack that fill it; not of columns that the suite has none for."""
    found = {}
    for column in spec.columns:
        if isinstance(column, Column):
            suite = source.suite_of(column)
            if suite in results.suites and (attack := results.attack(suite, column.attack)):
                found[column.key] = suite, attack
        elif isinstance(column, Quantity) and column.suite in results.suites:
            found[column.key] = column.suite, column.attack
    return found


def _cells(
    spec: TableSpec,
    source: Source,
    attacks: Mapping[str, tuple[str, str]],
    runs: Sequence[PlannedRun],
    results: Results,
) -> dict[str, Cell]:
    """Key of a column -> its cell, as far as the suite has what fills it."""
    cells = {
        column.key: measured(runs, *attacks[column.key], column, results)
        for column in spec.columns
        if isinstance(column, Column) and column.key in attacks
    }
    for column in spec.columns:
        if isinstance(column, Quantity) and column.key in attacks:
            cells[column.key] = quantity(runs, column, results)
        if isinstance(column, Derived) and all(key in cells for key in column.of):
            cells[column.key] = combined([(weight, cells[key]) for key, weight in column.of.items()])
    return cells


def _line(
    column: Column | Derived | Quantity,
    source: Source,
    attacks: Mapping[str, tuple[str, str]],
    cell: Cell,
    runs: Sequence[PlannedRun],
    dataset: Dataset,
    results: Results,
) -> dict[str, Any]:
    parts = list(column.of) if isinstance(column, Derived) else [column.key]
    suite, attack = (source.suite, "") if isinstance(column, Derived) else attacks[column.key]
    threat = results.suites[suite].threat
    line = _about(column) | {
        "source": source.name,
        "suite": suite,
        "space": threat.space,
        "threat": wording.threat(threat, dataset.normalisation),
        "split": results.suites[suite].split,
        "attack": attack,
        "lacking": cell.lacks,
    }
    if not runs:
        return line | {"status": NOT_RUN}
    network = runs[0].config.model
    line["condition"] = _condition(results.suites[suite], attack, network)
    if cell.state:
        return line | {"status": cell.state}
    trained = [run.id for run in runs if run.config.seed in cell.seeds]
    verdict = together([masking_verdict(results, trained, *attacks[part]) for part in parts])
    refuting = [refutation(results, trained, *attacks[part]) for part in parts]
    found = cell.summary()
    if network.looks_at_batches:
        line["batches"] = str(min(results.suites[suite].batch_size, found["n"]))
    doubts = {"masking": verdict, "refuted": "; ".join(dict.fromkeys(filter(None, refuting)))}
    return line | found | {"status": REPRODUCED} | doubts


def _condition(suite: Suite, attack: str, network: Network) -> str:
    """What the network is told when it judges; empty if it takes no condition."""
    own = told(suite, network)
    return "" if own is None else f"{other_conditions(suite).get(attack, own):.12g}"


def _printed(
    spec: TableSpec, results: Results, dataset_id: str
) -> list[tuple[Column | Derived | Quantity, dict[str, tuple[float | None, str]]]]:
    """The columns that the paper prints numbers in, for the data set that stands beside ours: by row.

    With each number what refutes it in print.
    """
    if not (spec.published and (theirs := results.published_as(dataset_id))):
        return []
    table = results.published(spec.published)
    table = table[table["dataset"] == theirs]
    numbers = [(column, printed_numbers(table, column)) for column in spec.columns]
    return [(column, by_row) for column, by_row in numbers if by_row]


def _lines_in_print(
    row: Row,
    printed: Sequence[tuple[Column | Derived | Quantity, Mapping[str, tuple[float | None, str]]]],
) -> Iterable[dict[str, Any]]:
    for column, by_row in printed:
        line = _about(column) | {"source": PUBLISHED, "suite": "", "space": "", "lacking": ""}
        line["attack"] = column.printed.attack if column.printed else ""
        if row.row in by_row:
            value, refuted = by_row[row.row]
            status = LOST if value is None else PUBLISHED
            yield line | {"status": status, "value": value, "refuted": refuted}
        else:
            yield line | {"status": NOT_PRINTED}


def _about(column: Column | Derived | Quantity) -> dict[str, Any]:
    return {
        "column": column.key,
        "heading": column.heading,
        "metric": column.metric,
        "unit": column.unit,
    }


def _tidy(lines: list[dict[str, Any]], spec: TableSpec, label: str) -> pd.DataFrame:
    labels = [label for label in spec.labels if label not in ROW_COLUMNS]
    order = [*ROW_COLUMNS, *labels, *COLUMNS]
    texts = dict.fromkeys(("interval", "masking", "refuted", "split", "condition", "batches"), "")
    frame = pd.DataFrame([texts | line for line in lines], columns=order)
    numbers = dict.fromkeys(["value", "low", "high"], "float64") | dict.fromkeys(["seeds", "n"], "Int64")
    return frame.astype(numbers).assign(scale=label)
