"""The report of a study: the sections of its report.py, or the default ones, and the curves of its runs."""

import hashlib
import importlib
import re
import sys
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from robustfront.errors import ConfigError
from robustfront.reporting import code, curves, default
from robustfront.reporting.notebooks import ONE_RUN
from robustfront.reporting.places import REPORT, TEMPLATES, has_report, shipped_report
from robustfront.reporting.planned import Study
from robustfront.reporting.results import Results
from robustfront.reporting.sections import FigureSection, Section

_MAKERS = tuple(f"robustfront.reporting.{module}" for module in ("sections", "default"))
"""What makes sections beside the study's own code; what these use counts too."""
_TEMPLATES = tuple(TEMPLATES / f"{name}.html.j2" for name in ("table", "claims"))
RESERVED = ("run", "masking", "deviations", "curves", "files", "training_overview")
"""What a page has of its own."""

OVERVIEW = FigureSection(
    "training_overview",
    "Training curves",
    curves.overview,
    alt="Clean and adversarial validation accuracy per epoch, a small panel for each run.",
)
CURVES_ALT = (
    "Loss, accuracy, learning rate, and parts of the loss or what else the method logs, per epoch of {}."
)


def report_sections(results: Results) -> list[Section]:
    """The sections of the study's own report, or of the default one.

    ConfigError if report.py cannot be loaded, has no SECTIONS, or one of them has a name that cannot be.
    """
    study = results.study
    if study.folder is None or not has_report(study):
        return list(default.SECTIONS)
    path = study.folder / REPORT
    sections = getattr(_module(path, shipped_report(study)), "SECTIONS", None)
    if not isinstance(sections, Sequence) or not all(isinstance(each, Section) for each in sections):
        raise ConfigError(f"{path}: SECTIONS is missing, or is no list of sections")
    anchors = [section.anchor for section in sections]
    for anchor in anchors:
        if (
            anchors.count(anchor) > 1
            or anchor in RESERVED
            or not re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", anchor)
        ):
            raise ConfigError(
                f"{path}: a section cannot be called {anchor!r}: use letters, digits, '_' and '-', no name "
                f"twice, and none of {', '.join(RESERVED)}"
            )
    return list(sections)


def curve_sections(results: Results) -> list[Section]:
    """The training curves: all runs at a glance, then each run that has a history."""
    found: list[Section] = [OVERVIEW]
    for run in results.runs.values():
        if results.history(run.id) is not None:
            title = results.title(run)
            draw = partial(curves.of_run, run_id=run.id, title=title)
            found.append(FigureSection(curves_anchor(run.id), title, draw, alt=CURVES_ALT.format(title)))
    return found


def curves_anchor(run_id: str) -> str:
    return f"{ONE_RUN}{run_id}"


def all_sections(results: Results) -> list[Section]:
    """Everything that a study's page shows as files of its own."""
    return [*report_sections(results), *curve_sections(results)]


def section_code(study: Study, section: Section) -> str:
    """Digest of the code and templates that decide what the files of a section look like."""
    if section is OVERVIEW or section.anchor.startswith(ONE_RUN):
        return code.digest(None, ("robustfront.reporting.curves",))
    return code.digest(study, _MAKERS, _TEMPLATES)


@cache
def _module(path: Path, shipped: str | None) -> ModuleType:
    """A report.py. Files beside it are imported as `from . import ...`, so that they shadow nobody else's."""
    if shipped:
        return importlib.import_module(shipped)
    name = f"robustfront_study_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    package = ModuleType(name)
    package.__path__ = [str(path.parent)]
    sys.modules[name] = package
    try:
        return importlib.import_module(f"{name}.{path.stem}")
    except Exception as error:
        raise ConfigError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
