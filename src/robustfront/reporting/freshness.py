"""Whether a study's page on disk shows today's parameters, results and code. Told by content, not by times.

The page is made last and leaves reports/<study>/record.json, which holds a digest of everything that the page
was made from, and size and checksum of every file it consists of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustfront.artefacts import Layout, read_json
from robustfront.checksums import write_record
from robustfront.config.evaluations import of_suite
from robustfront.errors import ArtefactError
from robustfront.reporting import code, places

if TYPE_CHECKING:
    from robustfront.planning import Plan
    from robustfront.reporting.planned import StudyPlan

RECORD = "record.json"
_CODE = tuple(
    f"robustfront.{module}"
    for module in ("studies.report", "studies.assemble", "reporting.default", "reporting.contents")
)
"""What writes a page; what these use counts too."""


def inputs_digest(plan: StudyPlan, layout: Layout) -> str:
    """Hash of all that a study's page is made from.

    That is what the page shows of the plan, the records of its results, failures among them (a result that is
    missing counts as missing), the study's own files, its notebook's source, and the code of reports.
    """
    total = hashlib.sha256(_plan_digest(plan).encode())
    for path in result_files(plan, layout):
        _add(total, path.relative_to(layout.results).as_posix(), path)
    for path in (*places.own_data(plan.study), places.notebook_source(plan.study)):
        _add(total, path.name, path)
    total.update(code.digest(plan.study, _CODE, _templates()).encode())
    return total.hexdigest()


def contents_digest(plan: Plan, reports: Path) -> str:
    """Hash of all that the contents page is made from: what the pages of the studies recorded, and code."""
    about = [plan.scale, plan.note, plan.absent, [_plan_digest(study) for study in plan.studies.values()]]
    total = hashlib.sha256(json.dumps(about).encode())
    for name in plan.studies:
        _add(total, name, reports / name / RECORD)
    total.update(code.digest(None, _CODE, _templates()).encode())
    return total.hexdigest()


def result_files(plan: StudyPlan, layout: Layout) -> Iterator[Path]:
    """The records of all results of the plan, there or not.

    Each is the last file of its step and vouches for the others.
    """
    for dataset in plan.datasets:
        yield layout.dataset(dataset) / "manifest.json"
    for run in plan.runs:
        evaluations = {
            plan.evaluation_id(run, name, evaluation)
            for name, suite in plan.suites_of(run).items()
            for evaluation in of_suite(suite)
        }
        for name in ("manifest.json", "failure.json"):
            yield layout.run(run) / name
        for evaluation in sorted(evaluations):
            stem = layout.evaluation(run, evaluation)
            yield stem.with_name(f"{stem.name}.json")
    for analysis in plan.analyses.values():
        for run in analysis.runs:
            stem = layout.analysis(run, analysis.id)
            yield stem.with_name(f"{stem.name}.json")


def is_current(plan: StudyPlan, layout: Layout, folder: Path) -> bool:
    """Whether the study's page in `folder` was made from what is there now, and all its files are there.

    Of these only the sizes are looked at. A page that lacks something is not current.
    """
    return _is_current(folder, lambda: inputs_digest(plan, layout))


def contents_are_current(plan: Plan, reports: Path) -> bool:
    """The same of the contents page."""
    return _is_current(reports, lambda: contents_digest(plan, reports))


def _is_current(folder: Path, inputs: Callable[[], str]) -> bool:
    try:
        record = read_json(folder / RECORD)
    except ArtefactError:
        return False
    sizes = record.get("sizes") if isinstance(record, dict) else None
    if not isinstance(sizes, dict) or record.get("complaints") != []:
        return False
    if any(_size(folder / name) != size for name, size in sizes.items()):
        return False
    return bool(record.get("inputs") == inputs())


def write(folder: Path, content: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Writes the record of a page that consists of `files`: `content`, with their sizes and checksums."""
    found = list(files)
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in found}
    write_record(folder / RECORD, {**content, "sizes": sizes}, found)


def invalidate(folder: Path) -> None:
    """To be called before a file of the page is changed: from then on it is not current."""
    (folder / RECORD).unlink(missing_ok=True)


def _plan_digest(plan: StudyPlan) -> str:
    """Hash of what a page shows of a plan: cosmetic edits of params files do not change it."""
    elsewhere = [
        (run, name, suite.model_dump(mode="json"))
        for run in plan.runs
        for name, suite in plan.suites_of(run).items()
        if name not in plan.suites
    ]
    content = [
        [plan.study.name, plan.study.facts.model_dump(mode="json"), plan.scale, plan.note],
        [(key, value.model_dump(mode="json")) for key, value in plan.datasets.items()],
        [(key, value.model_dump(mode="json")) for key, value in plan.suites.items()],
        elsewhere,
        [(key, list(run.names), run.config.model_dump(mode="json")) for key, run in plan.runs.items()],
        [
            (key, value.config.model_dump(mode="json"), list(value.runs.items()))
            for key, value in plan.analyses.items()
        ],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _templates() -> tuple[Path, ...]:
    return tuple(sorted(places.TEMPLATES.iterdir()))


def _add(total: hashlib._Hash, name: str, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError:
        content = None
    total.update(name.encode() + b"\0" + (b"absent" if content is None else b"there\0" + content) + b"\0")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
