"""reports/index.html: the page a person opens first, one entry per study; beside it the numbers for DVC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustfront.artefacts import Layout, write_json, write_text
from robustfront.checksums import read_record
from robustfront.errors import ArtefactError
from robustfront.reporting import deviations, freshness
from robustfront.reporting.markup import template
from robustfront.reporting.page import PAGE
from robustfront.reporting.plots import write_plots
from robustfront.reporting.results import Results

if TYPE_CHECKING:
    from robustfront.planning import Plan
    from robustfront.reporting.planned import StudyPlan


def write_contents(plan: Plan, layout: Layout, reports: Path) -> None:
    """Writes index.html, metrics.json, plots and, last, record.json in `reports`.

    What is said of a study is what its own page recorded; one without a page of the plan's scale is listed as
    such.
    """
    freshness.invalidate(reports)
    entries = [_entry(study, reports) for study in plan.studies.values()]
    html = template("contents.html.j2").render(
        scale=plan.scale, note=plan.note, studies=entries, absent=plan.absent
    )
    metrics = {entry["name"]: entry["metrics"] for entry in entries if entry["page"]}
    studies = {name: Results(study, layout) for name, study in plan.studies.items()}
    write_text(reports / PAGE, html)
    write_json(reports / "metrics.json", metrics)
    plots = write_plots(metrics, studies, reports / "plots")
    inputs = freshness.contents_digest(plan, reports)
    files = [reports / PAGE, reports / "metrics.json", *plots]
    freshness.write(reports, {"scale": plan.scale, "inputs": inputs, "complaints": []}, files)


def _entry(plan: StudyPlan, reports: Path) -> dict[str, Any]:
    """A study as the template shows it, without `page` if it has none of this scale."""
    name, facts = plan.study.name, plan.study.facts
    about = {"name": name, "title": facts.title, "source": facts.source}
    try:
        record = read_record(reports / name / freshness.RECORD)
        if record["scale"] == plan.scale and (reports / name / PAGE).is_file():
            return about | record["summary"] | {"page": f"{name}/{PAGE}"}
    except (ArtefactError, LookupError, TypeError):
        pass
    nothing: dict[str, Any] = {"lacking": {}, "failed": [], "claims": [], "metrics": {}}
    return about | nothing | {"label": deviations.label(plan), "runs": len(plan.runs), "page": ""}
