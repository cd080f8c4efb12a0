"""Other projects that share a results folder: what each wants is noted there, and no other removes it.

A project is a params.yaml; its note is renewed whenever `snakemake` starts. A note whose params.yaml is not
to be found protects as before (it may lie on another machine) until `prune` is told to remove it. One that
came along when a whole project was copied is about another results folder, and protects nothing here.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustfront.artefacts import read_json, write_json
from robustfront.errors import ArtefactError
from robustfront.planning import Plan

FOLDER = "projects"


@dataclass
class Wants:
    """What somebody wants.

    `evaluations`, `analyses`: run id -> those of the run, indices among them. `pages`: absolute paths of the
    folders of studies' reports.
    """

    datasets: set[str] = field(default_factory=set)
    projectors: set[str] = field(default_factory=set)
    evaluations: dict[str, set[str]] = field(default_factory=dict)
    analyses: dict[str, set[str]] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)

    @property
    def runs(self) -> set[str]:
        return {*self.evaluations, *self.analyses}

    def add(self, other: "Wants") -> None:
        self.datasets |= other.datasets
        self.projectors |= other.projectors
        self.pages |= other.pages
        for mine, theirs in ((self.evaluations, other.evaluations), (self.analyses, other.analyses)):
            for run, ids in theirs.items():
                mine.setdefault(run, set()).update(ids)


def wants(plans: Iterable[Plan], reports: Path) -> Wants:
    """What any of the plans wants. A study keeps its page at scales that it does not have, too."""
    found = Wants()
    for plan in plans:
        found.datasets |= {*plan.datasets}
        found.projectors |= {*plan.projectors}
        found.pages |= {str(reports.resolve() / name) for name in (*plan.studies, *plan.absent)}
        for run, evaluations in plan.evaluations.items():
            found.evaluations.setdefault(run, set()).update(evaluations, [plan.index(run)])
        for run, analysis in plan.analysis_jobs:
            found.analyses.setdefault(run, set()).add(analysis)
    return found


def register(plans: Iterable[Plan], params: Path, results: Path, reports: Path) -> None:
    """Notes in the results folder what the project of this params.yaml wants."""
    found = wants(plans, reports)
    content = {
        "params": str(params.resolve()),
        "results": str(results.resolve()),
        "datasets": sorted(found.datasets),
        "projectors": sorted(found.projectors),
        "evaluations": {run: sorted(ids) for run, ids in found.evaluations.items()},
        "analyses": {run: sorted(ids) for run, ids in found.analyses.items()},
        "pages": sorted(found.pages),
    }
    path = _note(params, results)
    try:
        known = read_json(path)
    except ArtefactError:  # there is none, or a damaged one
        known = None
    if known != content:
        write_json(path, content)


def of_others(params: Path, results: Path) -> Wants:
    """What the other projects with this results folder want. ArtefactError if a note of theirs is damaged."""
    found = Wants()
    for path, content in _notes(params, results):
        if not _is_elsewhere(content, results):
            found.add(_parsed(path, content))
    return found


def abandoned(params: Path, results: Path) -> list[Path]:
    """Notes of projects whose params.yaml is not there any more, or that have another results folder."""
    return [
        path
        for path, content in _notes(params, results)
        if _is_elsewhere(content, results) or not Path(content["params"]).is_file()
    ]


def _is_elsewhere(content: Mapping[str, Any], results: Path) -> bool:
    """Whether a note is about another results folder, which is there too: then somebody made a copy of it."""
    theirs = Path(content["results"])
    return theirs.is_dir() and not theirs.samefile(results)


def _notes(params: Path, results: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Those of others."""
    for path in sorted((results / FOLDER).glob("[!.]*.json")):
        if path != _note(params, results):
            content = read_json(path)
            _parsed(path, content)
            yield path, content


def _parsed(path: Path, content: Any) -> Wants:
    try:
        Path(content["params"]), Path(content["results"])
        return Wants(
            set(content["datasets"]),
            set(content["projectors"]),
            {run: set(ids) for run, ids in content["evaluations"].items()},
            {run: set(ids) for run, ids in content["analyses"].items()},
            set(content["pages"]),
        )
    except (AttributeError, LookupError, TypeError):
        raise ArtefactError(
            f"{path}: damaged (no note of a project); `snakemake` in that project writes it anew, delete it "
            "if there is none"
        ) from None


def _note(params: Path, results: Path) -> Path:
    return results / FOLDER / f"{hashlib.sha256(str(params.resolve()).encode()).hexdigest()[:12]}.json"
