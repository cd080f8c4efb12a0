"""The page of a study, from what its notebook left."""

from pathlib import Path
from typing import Any

from robustfront.artefacts import Layout
from robustfront.reporting.build import RECORDS, recall
from robustfront.reporting.completeness import lacking
from robustfront.reporting.page import PAGE, write_page
from robustfront.reporting.planned import StudyPlan
from robustfront.reporting.results import Results
from robustfront.reporting.study_report import all_sections
from robustfront.reporting.summary import summarise


def assemble(plan: StudyPlan, layout: Layout, folder: Path) -> dict[str, Any]:
    """Writes the page of a study whose sections are built in `folder`; returns what is to be said.

    That is `complaints`: what is lacking, a line each; `tracebacks` of sections that could not be made;
    `files` of the page, in the study's folder; `summary`: what the contents page says of it.
    """
    study, found = plan.study.name, Results(plan, layout)
    built = recall(all_sections(found), folder)
    missing = lacking(plan, found)
    write_page(plan, found, missing, built, folder)
    failed = [one for one in built if one.failed]
    complaints = [f"{study}: {words} ({runs})" for words, runs in missing.runs.items()]
    complaints += [f"{study}: {one.section.short} could not be made: {one.message}" for one in failed]
    files = [name for one in built if not one.failed for name in one.section.files]
    return {
        "complaints": complaints,
        "tracebacks": [one.traceback for one in failed],
        "files": [PAGE, RECORDS, *files],
        "summary": summarise(found, missing, built, folder),
    }
