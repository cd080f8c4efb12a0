"""Whether the report on disk shows today's parameters, results and code. Told by content, not by times.

The page is made last and leaves reports/record.json, which holds a digest of everything the report was made
from, and checksums of everything it consists of.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import robustfront
from robustfront.artefacts import Layout, date_back, read_json, write_text
from robustfront.checksums import write_record
from robustfront.errors import ArtefactError

if TYPE_CHECKING:
    from robustfront.reporting.results import Plan

RECORD = "record.json"
_SOURCES = ("reporting/**/*", "evaluation/statistics.py", "evaluation/outcomes.py", "analysis/records.py")


def plan_digest(plan: Plan) -> str:
    """Hash of what a report shows of a plan: cosmetic edits of params.yaml do not change it."""
    content = [
        plan.scale,
        plan.note,
        [(key, value.model_dump(mode="json")) for key, value in plan.datasets.items()],
        [(key, value.model_dump(mode="json")) for key, value in plan.suites.items()],
        [
            (key, value.config.model_dump(mode="json"), list(value.runs.items()))
            for key, value in plan.analyses.items()
        ],
        [(key, list(run.names), run.config.model_dump(mode="json")) for key, run in plan.runs.items()],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def result_files(plan: Plan, layout: Layout) -> Iterator[Path]:
    """The records of all results of the plan; each is the last file of its step, and covers the others."""
    for dataset in plan.datasets:
        yield layout.dataset(dataset) / "manifest.json"
    for run in plan.runs:
        yield layout.run(run) / "manifest.json"
        for suite in plan.suites:
            yield layout.evaluation(run, suite).with_name(f"{suite}.json")
    for analysis in plan.analyses.values():
        for run in analysis.runs:
            yield layout.analysis(run, analysis.id).with_name(f"{analysis.id}.json")


def inputs_digest(plan: Plan, layout: Layout, notebooks: Path) -> str | None:
    """Hash of plan, results, notebooks and reporting code; None while a result is missing or unreadable."""
    total = hashlib.sha256(plan_digest(plan).encode())
    for path in result_files(plan, layout):
        try:
            _add(total, path.relative_to(layout.results).as_posix(), path)
        except OSError:
            return None
    package = Path(robustfront.__file__).parent
    sources = {path for pattern in _SOURCES for path in package.glob(pattern)}
    for path in sorted(path for path in sources if path.is_file() and path.suffix != ".pyc"):
        _add(total, path.relative_to(package).as_posix(), path)
    for path in sorted(notebooks.glob("*.py")):
        _add(total, path.name, path)
    return total.hexdigest()


def is_current(plan: Plan, layout: Layout, reports: Path, notebooks: Path) -> bool:
    """Whether the report in `reports` was made from what is there now."""
    try:
        record = read_json(reports / RECORD)
    except ArtefactError:
        return False
    made_from = record.get("inputs") if isinstance(record, dict) else None
    return made_from is not None and made_from == inputs_digest(plan, layout, notebooks)


def write(plan: Plan, layout: Layout, reports: Path, notebooks: Path, files: list[Path]) -> None:
    """Writes the record of a report that consists of `files`."""
    content = {"scale": plan.scale, "inputs": inputs_digest(plan, layout, notebooks)}
    write_record(reports / RECORD, content, files)


def invalidate(reports: Path) -> None:
    """To be called before a file of the report is changed: from then on it is not current."""
    (reports / RECORD).unlink(missing_ok=True)


def stamp(results: Path, reports: Path) -> Path:
    """A file newer than every file of the report, so that Snakemake makes all of it anew.

    Files from a machine whose clock is ahead are dated back for that. The content is new too, as Snakemake
    takes a small file of known content for old whatever its time. ArtefactError where that is not allowed.
    """
    date_back(reports)
    path = results / "report-stamp.txt"
    write_text(path, f"The report was found out of date at {time.time_ns()} ns.\n")
    return path


def _add(total: hashlib._Hash, name: str, path: Path) -> None:
    total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
