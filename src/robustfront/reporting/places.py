"""Where what a study brings for its report lies: in its folder, or beside this package."""

from pathlib import Path
from typing import TYPE_CHECKING

import robustfront

if TYPE_CHECKING:
    from robustfront.reporting.planned import Study

PACKAGE = Path(robustfront.__file__).parent
NOTEBOOKS = PACKAGE.parents[1] / "notebooks"
TEMPLATES = PACKAGE / "reporting" / "templates"
REPORT, NOTEBOOK, PARAMS = "report.py", "notebook.py", "params.yaml"


def notebook_source(study: "Study") -> Path:
    """The notebook that makes the study's report: its own, else the one that serves all."""
    own = [] if study.folder is None else [study.folder / NOTEBOOK]
    places = [*own, NOTEBOOKS / f"{study.name}.py"]
    return next((place for place in places if place.is_file()), NOTEBOOKS / "study.py")


def has_report(study: "Study") -> bool:
    """Whether the study brings a report of its own."""
    return study.folder is not None and (study.folder / REPORT).is_file()


def shipped_report(study: "Study") -> str | None:
    """The module of its report, if the study is one of ours."""
    if study.folder is None or not has_report(study) or study.folder.parent != PACKAGE / "studies":
        return None
    return f"robustfront.studies.{study.folder.name}.report"


def own_code(study: "Study") -> list[Path]:
    """The Python files of its folder and those below, its notebook aside."""
    found = [] if study.folder is None else sorted(study.folder.rglob("*.py"))
    return [path for path in found if path.name != NOTEBOOK]


def own_data(study: "Study") -> list[Path]:
    """What else its report is made from, rows, claims, published numbers and the like: small texts."""
    if study.folder is None:
        return []
    found = [path for pattern in ("*.yaml", "*.csv", "*.json") for path in study.folder.rglob(pattern)]
    return sorted(path for path in found if path.name != PARAMS)
