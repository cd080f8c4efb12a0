"""Paper tables: published and reproduced numbers in one tidy frame. `rendering` writes it to files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from robustfront.artefacts import Layout
from robustfront.config.schema import Suite
from robustfront.evaluation.statistics import mean_interval
from robustfront.reporting import wording
from robustfront.reporting.published import read_published
from robustfront.reporting.results import Plan, evaluations, masking_checks

PUBLISHED = "published"
NOT_RUN = "not run at this scale"
# S000, section 4: it normalises its inputs and follows CAAT, whose code attacks the normalised image.
PUBLISHED_THREAT = "L∞, ε = 8/255, most likely of (x − mean)/std"
PRINTED = {"clean": "Clean", "pgd": "PGD", "autoattack": "AA"}


@dataclass(frozen=True)
class Heading:
    """A table's title, the columns that name a row (column of its frame -> heading), and its first notes.

    `block`: the label at whose change a line is ruled.
    """

    title: str
    labels: Mapping[str, str]
    notes: tuple[str, ...] = ()
    block: str = ""


@dataclass(frozen=True)
class PaperTable(Heading):
    """A table of a paper. `published`: its printed numbers, which have the columns of `labels`."""

    published: str = ""


NPAT_TABLE1 = PaperTable(
    "NPAT (S000), Table 1",
    {
        "method": "Model",
        "generation": "Adv. gen. method",
        "loss": "Loss",
        "pretrained": "Pretrained model",
    },
    published="s000_table1",
)
NPAT_TABLE2 = PaperTable(
    "NPAT (S000), Table 2",
    {"method": "Method", "hidden": "Hidden size"},
    (
        "Hidden size as printed, for a network with 512 features: 512 is the network without an extra layer. "
        "A narrower network has a layer as many times as wide as its features.",
    ),
    published="s000_table2",
)
NPAT_TABLE3 = PaperTable("NPAT (S000), Table 3", {"method": "Method", "beta": "β"}, published="s000_table3")
NPAT_TABLES = (NPAT_TABLE1, NPAT_TABLE2, NPAT_TABLE3)


def reproduce(spec: PaperTable, plan: Plan, layout: Layout) -> pd.DataFrame:
    """The paper's table with our errors beside the printed ones, for every data set of the plan.

    A line per table row, data set, source (`suite`: `published` or the name of a suite) and attack:

    - `row`, `run`: the paper's row and the name of its run in params.yaml; then the labels as printed;
    - `dataset`, `published_as`: our data set and the one whose printed numbers stand beside it;
    - `suite`, `space`, `threat`: the source and its threat model;
    - `attack` (clean, pgd, autoattack), `attack_name`: the column, and the suite's attack that fills it;
    - `error_percent`, `low_percent`, `high_percent`, `interval`: of one seed, the error and its Wilson 95 %
      interval; of several, mean and Student-t 95 % interval over seeds (it may leave [0, 100]);
    - `seeds`, `n`: how many seeds, how many test images each;
    - `masking`: whether all gradient-masking checks passed: `passed`, `failed`, `not checked`;
    - `status`: `published`, `reproduced` or `not run at this scale`;
    - `scale`: the label of the scale.

    ArtefactError if an evaluation of the plan is missing.
    """
    labels = ["row", "run", *spec.labels]
    published = read_published(spec.published)
    printed_rows = published[labels].drop_duplicates().to_dict("records")
    rows = [{str(key): value for key, value in row.items()} for row in printed_rows]
    return measure(rows, labels, plan, layout, published)


def measure(
    rows: Iterable[dict[str, Any]], labels: list[str], plan: Plan, layout: Layout, published: pd.DataFrame
) -> pd.DataFrame:
    """The frame of `reproduce` for rows that have the columns `labels`, `row` and `run` among them.

    `published`: numbers by `row`, `dataset` and `attack`; where it is empty, ours stand alone.
    """
    measured, checks = evaluations(plan, layout), masking_checks(plan, layout)
    lines: list[dict[str, Any]] = []
    for dataset_id, dataset in plan.datasets.items():
        where = {"dataset": dataset.name, "published_as": dataset.published_as or ""}
        printed = published[published["dataset"] == dataset.published_as]
        numbers = printed.set_index(["row", "attack"])["error_percent"]
        for row in rows:
            key = row | where
            for attack in printed["attack"].unique():
                source = {"suite": PUBLISHED, "space": "", "threat": PUBLISHED_THREAT}
                column = {"attack": attack, "attack_name": PRINTED[attack], "status": PUBLISHED}
                lines.append(key | source | column | {"error_percent": numbers[row["row"], attack]})
            runs = [run.id for run in plan.find(str(row["run"]), dataset_id)]
            for suite_id, suite in plan.suites.items():
                threat = wording.threat(suite.threat, dataset.normalisation)
                source = {"suite": suite.name, "space": suite.threat.space, "threat": threat}
                here = measured[measured["run_id"].isin(runs) & (measured["suite_id"] == suite_id)]
                status = "reproduced" if runs else NOT_RUN
                verdict = {"masking": masking_verdict(checks, runs, suite_id)} if runs else {}
                for attack, name in columns(suite).items():
                    column = {"attack": attack, "attack_name": name, "status": status}
                    value = _summarise(here[here["attack"] == name]) if runs else {}
                    lines.append(key | source | column | value | verdict)
    return _tidy(lines, labels, wording.scale_label(plan.scale))


def columns(suite: Suite) -> dict[str, str]:
    """Table column (clean, pgd, autoattack) -> name of the suite's first attack of that kind."""
    found = {"clean": "clean"}
    for name, attack in suite.attacks.items():
        found.setdefault(attack.kind, name)
    return found


def masking_verdict(checks: pd.DataFrame, runs: list[str], suite_id: str) -> str:
    """passed, failed or not checked, over all seeds: a run without checks is not a run that passed.

    `checks`: what `results.masking_checks` returns.
    """
    checks = checks[checks["run_id"].isin(runs) & (checks["suite_id"] == suite_id)]
    if not checks["passed"].all():
        return "failed"
    return "passed" if checks["run_id"].nunique() == len(runs) else "not checked"


def _summarise(seeds: pd.DataFrame) -> dict[str, Any]:
    """Error and interval of one column: `seeds` has a row per seed."""
    numbers = {"seeds": len(seeds), "n": int(seeds["n"].iloc[0])}
    mean, half_width, count = mean_interval(list(100 * seeds["error"]))
    if half_width is None:
        low, high = (100 * float(seeds[side].iloc[0]) for side in ("low", "high"))
        interval = "Wilson 95 %"
    else:
        low, high = mean - half_width, mean + half_width
        interval = f"t 95 % over {count} seeds"
    return numbers | {"error_percent": mean, "low_percent": low, "high_percent": high, "interval": interval}


def _tidy(lines: list[dict[str, Any]], labels: list[str], scale: str) -> pd.DataFrame:
    order = [
        *labels,
        "dataset",
        "published_as",
        "suite",
        "space",
        "threat",
        "attack",
        "attack_name",
        "status",
    ]
    order += ["error_percent", "low_percent", "high_percent", "interval", "seeds", "n", "masking"]
    table = pd.DataFrame([{"interval": "", "masking": ""} | line for line in lines], columns=order)
    return table.astype({"seeds": "Int64", "n": "Int64"}).assign(scale=scale)
