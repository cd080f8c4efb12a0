"""The runs of params.yaml that no table of the paper has, beside those of its Table 1: a frame for both.

A method of one's own and a control stand here, under the same attacks as the paper's rows; the paper's tables
keep to the paper's rows.
"""

from typing import Any

import pandas as pd

from robustfront.artefacts import Layout
from robustfront.reporting.published import read_published
from robustfront.reporting.results import Plan, PlannedRun
from robustfront.reporting.tables import NPAT_TABLE1, NPAT_TABLES, Heading, measure

OTHER = "not in the paper"
LISTED = "listed"

OTHER_RUNS = Heading(
    "Other runs, then those of Table 1",
    {"method": "Model", LISTED: "Listed in", "pretrained": "Starts from"},
    ("Compare a run with those that start from the same model.",),
    block=LISTED,
)
NONE_YET = "params.yaml has no runs beside the paper's yet; docs/adding-a-method.md says how to add one."


def compare(plan: Plan, layout: Layout) -> pd.DataFrame:
    """The frame of `tables.reproduce` without published numbers: first the other runs, then those of Table 1.

    Labels: `method` (the run's name, or what the paper calls it), `listed` (`not in the paper`, `Table 1`),
    `pretrained` (the name of the run it starts from). Runs that the scale leaves out are left out.
    """
    printed = read_published(NPAT_TABLE1.published).drop_duplicates("run").set_index("run")["method"]
    named = {name: run for run in plan.runs.values() for name in run.names}
    found = [(name, name, OTHER) for name in other_runs(plan)]
    found += [(str(name), str(method), "Table 1") for name, method in printed.items() if name in named]
    rows: list[dict[str, Any]] = [
        {"row": row, "run": name, "method": method, LISTED: listed, "pretrained": _start(plan, named[name])}
        for row, (name, method, listed) in enumerate(found, 1)
    ]
    nothing = pd.DataFrame(columns=["row", "dataset", "attack", "error_percent"])
    return measure(rows, ["row", "run", *OTHER_RUNS.labels], plan, layout, nothing)


def heading(table: pd.DataFrame) -> Heading:
    """That of a table as `compare` returns it; it says so if there are no other runs."""
    if (table[LISTED] == OTHER).any():
        return OTHER_RUNS
    return Heading(OTHER_RUNS.title, OTHER_RUNS.labels, (NONE_YET,))


def other_runs(plan: Plan) -> list[str]:
    """Names of the runs that no table of the paper names and from which no run of a table starts."""
    known = {name for spec in NPAT_TABLES for name in read_published(spec.published)["run"]}
    starts = {run.config.init for run in plan.runs.values() if known & set(run.names)}
    own = [run for run in plan.runs.values() if run.id not in starts and not known & set(run.names)]
    return list(dict.fromkeys(run.names[0] for run in own if run.names))


def _start(plan: Plan, run: PlannedRun) -> str:
    parent = plan.runs.get(run.config.init or "")
    return (" = ".join(parent.names) or parent.id) if parent else "scratch"
