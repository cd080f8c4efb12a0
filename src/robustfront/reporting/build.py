"""Makes those sections of a study's report that are not as they would be made now, one after the other.

`sections.json`, beside the page, says of each section what it was made from: the code, what it asked of the
results and what these answered, and checksums of the files it left. It is written after every section, so
that whatever interrupts a report costs one section at most. A section that raises is marked and stops no
other.
"""

import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from robustfront.artefacts import read_json, sha256, write_text
from robustfront.errors import ArtefactError, RobustfrontError
from robustfront.reporting.results import Results
from robustfront.reporting.sections import Section
from robustfront.reporting.study_report import section_code

RECORDS = "sections.json"
NOT_MADE = "the notebook of the study did not make it"


@dataclass(frozen=True)
class Built:
    """A section, and what became of it. `message`, `trace`: of a failure, in one line and at length."""

    section: Section
    state: Literal["made", "kept", "failed"]
    message: str = ""
    traceback: str = ""

    @property
    def failed(self) -> bool:
        return self.state == "failed"


def build(results: Results, sections: Sequence[Section], folder: Path) -> list[Built]:
    """Makes in `folder` the sections that are not current there; files of sections that are no more go.

    A section is kept if its code, its kind, and every answer that it got from `results` are as they were, and
    its files are there and intact. One that failed is tried again.
    """
    study, records = results.study, _read(folder)
    for anchor in records.keys() - {section.anchor for section in sections}:
        _remove(folder, records.pop(anchor))
        _write(folder, records)
    built = []
    for section in sections:
        code, record = section_code(study, section), records.get(section.anchor, {})
        if _fits(record, section, code, results, folder):
            built.append(Built(section, "kept"))
            continue
        _remove(folder, record)
        found, records[section.anchor] = _make(section, code, results, folder)
        _write(folder, records)
        built.append(found)
    return built


def recall(sections: Sequence[Section], folder: Path) -> list[Built]:
    """What became of the sections when they were last built in `folder`. Nothing is made.

    Of files it is looked at whether they are there.
    """
    records, built = _read(folder), []
    for section in sections:
        record = records.get(section.anchor, {})
        if "files" in record and all((folder / name).is_file() for name in section.files):
            built.append(Built(section, "kept"))
        else:
            message = record.get("message", NOT_MADE)
            built.append(Built(section, "failed", message, record.get("traceback", "")))
    return built


def _make(section: Section, code: str, results: Results, folder: Path) -> tuple[Built, dict[str, Any]]:
    """Makes one section; what became of it, and its record."""
    asked = results.tracing()
    try:
        section.make(asked, folder)
        files = {name: sha256(folder / name) for name in section.files}
    except Exception as error:
        for name in section.files:
            (folder / name).unlink(missing_ok=True)
        words = str(error) if isinstance(error, RobustfrontError) else f"{type(error).__name__}: {error}"
        message, trace = words.partition("\n")[0], traceback.format_exc()
        return Built(section, "failed", message, trace), {"message": message, "traceback": trace}
    return Built(section, "made"), {
        "code": code,
        "spec": _spec(section),
        "trace": asked.trace,
        "files": files,
    }


def _spec(section: Section) -> list[str]:
    """What of a section is not in the code: the training curves of a run are named by its plan."""
    return [type(section).__name__, section.title]


def _fits(record: Mapping[str, Any], section: Section, code: str, results: Results, folder: Path) -> bool:
    """Whether a section that was made as `record` says would be made the same now, and is all there."""
    if record.get("code") != code or record.get("spec") != _spec(section):
        return False
    files, trace = record.get("files"), record.get("trace")
    if not isinstance(files, dict) or not isinstance(trace, dict) or set(files) != set(section.files):
        return False
    return all(_is(folder / name, digest) for name, digest in files.items()) and results.holds(trace)


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256(path) == digest
    except OSError:
        return False


def _remove(folder: Path, record: Mapping[str, Any]) -> None:
    """Removes the files of a section that is made anew or is no more."""
    files = record.get("files")
    for name in files if isinstance(files, dict) else ():
        if ".." not in Path(name).parts:  # a damaged record must not lead out of the folder
            (folder / name).unlink(missing_ok=True)


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """Anchor -> record; of a missing or damaged file nothing, and everything is made anew."""
    try:
        found = read_json(folder / RECORDS)
    except ArtefactError:
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {anchor: record for anchor, record in entries if isinstance(record, dict)}


def _write(folder: Path, records: Mapping[str, Any]) -> None:
    """On one line: indented, thousands of records would take longer to write than a figure to draw."""
    write_text(folder / RECORDS, json.dumps(records, sort_keys=True, allow_nan=False) + "\n")
