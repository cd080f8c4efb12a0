"""A study's report: its notebook executed, which makes its tables, figures and page, and their record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from robustfront.artefacts import Layout
from robustfront.reporting import freshness, places
from robustfront.reporting.notebooks import execute
from robustfront.studies.assemble import assemble

if TYPE_CHECKING:
    from robustfront.reporting.planned import StudyPlan

NOTEBOOK = "notebook.html"


def report(plan: StudyPlan, layout: Layout, folder: Path, params: Path) -> list[str]:
    """Makes what is not current of a study's report in `folder`; returns what it lacks, a line each.

    That is sections that could not be made, whose tracebacks are printed, and results that are not there. The
    page is written all the same, and shows both. `params`: the file of what studies share.

    NotebookFailed if its notebook raises outside of sections, or its report.py cannot be loaded.
    """
    inputs = freshness.inputs_digest(plan, layout)  # before: a result that comes meanwhile makes the page old
    freshness.invalidate(folder)
    parameters = {
        "params": str(params.resolve()),
        "scale": plan.scale,
        "study": plan.study.name,
        "studies": [plan.study.name, *plan.beside],
        "results": str(layout.results.resolve()),
        "reports": str(folder.resolve().parent),
    }
    execute(places.notebook_source(plan.study), folder / NOTEBOOK, parameters)
    made = assemble(plan, layout, folder)
    for traceback in made["tracebacks"]:
        print(traceback, file=sys.stderr)
    content = {"scale": plan.scale, "inputs": inputs} | {key: made[key] for key in ("complaints", "summary")}
    freshness.write(folder, content, [folder / name for name in (*made["files"], NOTEBOOK)])
    complaints: list[str] = made["complaints"]
    return complaints
