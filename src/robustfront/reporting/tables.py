"""Paper tables: published and reproduced numbers in one tidy frame. `rendering` writes it to files."""

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
LABELS = ["row", "run", "method", "generation", "loss", "pretrained"]
# S000, section 4: it normalises its inputs and follows CAAT, whose code attacks the normalised image.
PUBLISHED_THREAT = "L∞, ε = 8/255, most likely of (x − mean)/std"
PRINTED = {"clean": "Clean", "pgd": "PGD", "autoattack": "AA"}


def npat_table1(plan: Plan, layout: Layout) -> pd.DataFrame:
    """S000 (NPAT), Table 1: clean, PGD and AutoAttack error of 15 models, for every data set of the plan.

    A line per table row, data set, source (`suite`: `published` or the name of a suite) and attack:

    - `row`, `run`, `method`, `generation`, `loss`, `pretrained`: the paper's row and its labels as printed;
    - `dataset`, `published_as`: our data set and the one whose printed numbers stand beside it;
    - `suite`, `space`, `threat`: the source and its threat model;
    - `attack` (clean, pgd, autoattack), `attack_name`: the column, and the suite's attack that fills it;
    - `error_percent`, `low_percent`, `high_percent`, `interval`: of one seed, the error and its Wilson 95 %
      interval; of several, mean and Student-t 95 % interval over seeds (it may leave [0, 100]);
    - `seeds`, `n`: how many seeds, how many test images each;
    - `masking`: whether all gradient-masking checks passed: `passed`, `failed`, `not checked`;
    - `status`: `published`, `reproduced` or `not run at this scale`;  `scale`: the label of the scale.

    ArtefactError if an evaluation of the plan is missing.
    """
    published = read_published("s000_table1")
    measured = evaluations(plan, layout)
    checks = masking_checks(plan, layout)
    lines: list[dict[str, Any]] = []
    for dataset_id, dataset in plan.datasets.items():
        where = {"dataset": dataset.name, "published_as": dataset.published_as or ""}
        printed = published[published["dataset"] == dataset.published_as]
        for number in printed.to_dict("records"):
            source = {"suite": PUBLISHED, "space": "", "threat": PUBLISHED_THREAT}
            column = {
                "attack": number["attack"],
                "attack_name": PRINTED[number["attack"]],
                "status": PUBLISHED,
            }
            labels = {key: number[key] for key in LABELS}
            lines.append(labels | where | source | column | {"error_percent": number["error_percent"]})
        for row in published[LABELS].drop_duplicates().to_dict("records"):
            labels = {key: row[key] for key in LABELS}
            runs = [run.id for run in plan.find(labels["run"], dataset_id)]
            for suite_id, suite in plan.suites.items():
                source = {
                    "suite": suite.name,
                    "space": suite.threat.space,
                    "threat": wording.threat(suite.threat),
                }
                here = measured[measured["run_id"].isin(runs) & (measured["suite_id"] == suite_id)]
                for kind, name in _columns(suite).items():
                    column = {
                        "attack": kind,
                        "attack_name": name,
                        "status": "reproduced" if runs else NOT_RUN,
                    }
                    numbers = _summarise(here[here["attack"] == name]) if runs else {}
                    verdict = {"masking": _masking(checks, runs, suite_id)} if runs else {}
                    lines.append(labels | where | source | column | numbers | verdict)
    return _tidy(lines, wording.scale_label(plan.scale))


def _columns(suite: Suite) -> dict[str, str]:
    """Table column -> name of the suite's first attack of that kind."""
    columns = {"clean": "clean"}
    for name, attack in suite.attacks.items():
        columns.setdefault(attack.kind, name)
    return columns


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


def _masking(checks: pd.DataFrame, runs: list[str], suite_id: str) -> str:
    """The verdict over all seeds: a run without checks is not a run that passed."""
    checks = checks[checks["run_id"].isin(runs) & (checks["suite_id"] == suite_id)]
    if not checks["passed"].all():
        return "failed"
    return "passed" if checks["run_id"].nunique() == len(runs) else "not checked"


def _tidy(lines: list[dict[str, Any]], scale: str) -> pd.DataFrame:
    columns = [
        *LABELS,
        "dataset",
        "published_as",
        "suite",
        "space",
        "threat",
        "attack",
        "attack_name",
        "status",
    ]
    columns += ["error_percent", "low_percent", "high_percent", "interval", "seeds", "n", "masking"]
    table = pd.DataFrame([{"interval": "", "masking": ""} | line for line in lines], columns=columns)
    return table.astype({"seeds": "Int64", "n": "Int64"}).assign(scale=scale)
