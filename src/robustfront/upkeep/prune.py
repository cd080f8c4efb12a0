"""`robustfront prune`: what params.yaml no longer names, or what other code made, and its removal."""

import glob
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from robustfront.artefacts import EVALUATIONS, Layout, leftovers
from robustfront.errors import ArtefactError
from robustfront.locks import is_held
from robustfront.planning import Plan
from robustfront.planning.files import is_trained
from robustfront.upkeep import inventory
from robustfront.upkeep.neighbours import Wants, abandoned, of_others, wants

SETTLED = 3600
"""Seconds after which a temporary file is what a killed process left, and not one being written."""

REPORT_MARKS = ("record.json", "sections.json")
"""Files of which a study's page has one at any time."""


@dataclass(frozen=True)
class Orphan:
    """A file or folder that may go."""

    kind: str
    path: Path

    @property
    def bytes(self) -> int:
        """What its removal frees; nothing for a link."""
        if self.path.is_symlink():
            return 0
        files = self.path.rglob("*") if self.path.is_dir() else [self.path]
        return sum(path.stat().st_size for path in files if path.is_file())


def orphans(plans: Iterable[Plan], layout: Layout, reports: Path, params: Path) -> list[Orphan]:
    """What neither `plans` nor another project with these results wants, and what killed processes left.

    `params`: the file whose plans they are.
    """
    wanted = wants(plans, reports)
    wanted.add(of_others(params, layout.results))
    found = [*_unplanned(wanted, layout), *_checkpoints(wanted, layout), *_of_wanted_runs(wanted, layout)]
    found += _reports(wanted, reports)
    found += [Orphan("note of a project", path) for path in abandoned(params, layout.results)]
    known = [orphan.path for orphan in found]
    now = time.time()
    for path in leftovers(layout.results):
        below = any(parent in known for parent in path.parents)
        if not below and now - path.stat().st_mtime > SETTLED:
            found.append(Orphan("temporary file", path))
    return found


def stale(plan: Plan, layout: Layout, params: Path) -> list[Orphan]:
    """What must go so that `snakemake` makes anew what other code made, or what was made from other files.

    That is each such run with all that starts from it, and their projectors; evaluations and analyses go with
    their runs, or alone if only they are out of date, and with an evaluation the indices that vouch for it. A
    data set whose original images were replaced goes with all its runs.
    What belongs to a run that a process is at stays: `status` tells of it again. So does a run that another
    project with these results wants, as others may start from it there; `params`: the file of this one.
    """
    records = inventory.records(layout.results)
    outdated = inventory.outdated(layout.results, records)
    parts = [*outdated, *(path for path in inventory.stale_parts(plan, layout) if path not in outdated)]
    runs = {*inventory.stale(plan, layout)}
    runs |= {path.parent.name for path in outdated if path.parent.parent == layout.results / "runs"}
    others = of_others(params, layout.results)
    theirs = others.runs
    datasets = {path.parent.name for path in outdated if path.parent.parent.name == "datasets"}
    datasets = (datasets & {*plan.datasets}) - others.datasets
    runs |= {run.id for run in plan.runs.values() if run.dataset_id in datasets}
    doomed = {
        run
        for run in inventory.descendants(plan, (runs & {*plan.runs}) - theirs)
        if run not in theirs and not _at_work(run, layout)
    }
    found = [Orphan("data set", layout.dataset(key)) for key in sorted(datasets)]
    found += [Orphan("run", layout.run(run)) for run in plan.runs if run in doomed]
    found += [Orphan("checkpoint", layout.checkpoint(run)) for run in plan.runs if run in doomed]
    projectors = {key for key, projector in plan.projectors.items() if projector.run_id in doomed}
    projectors |= {path.parent.name for path in outdated if path.name == "projector.json"}
    found += [Orphan("projector", layout.projector(key)) for key in sorted(projectors)]
    for path in parts:
        kind = {"eval": "evaluation", "analysis": "analysis"}.get(path.parent.name)
        run = path.parent.parent.name
        if kind and run not in doomed and not _at_work(run, layout):
            found += [Orphan(kind, file) for file in sorted(path.parent.glob(f"{path.stem}.*"))]
            if kind == "evaluation":
                found += [Orphan("index", index) for index in inventory.vouching(path, records)]
    return [orphan for orphan in dict.fromkeys(found) if orphan.path.exists()]


def remove(found: Iterable[Orphan]) -> None:
    """Deletes them; of links, not what they lead to. ArtefactError if that is not allowed."""
    for orphan in found:
        try:
            if orphan.path.is_dir() and not orphan.path.is_symlink():
                shutil.rmtree(orphan.path)
            else:
                orphan.path.unlink(missing_ok=True)
        except OSError as error:
            raise ArtefactError(
                f"{orphan.path}: cannot be removed: {error.strerror or error}; "
                "fix the permissions, then prune again"
            ) from error


def _unplanned(wanted: Wants, layout: Layout) -> Iterator[Orphan]:
    """Folders of runs, projectors and data sets that nobody wants; a run that a process is at stays."""
    for kind, folder, ids in (
        ("run", "runs", wanted.runs),
        ("projector", "projectors", wanted.projectors),
        ("data set", "datasets", wanted.datasets),
    ):
        for path in _folders(layout.results / folder):
            if path.name not in ids and not (kind == "run" and _at_work(path.name, layout)):
                yield Orphan(kind, path)


def _of_wanted_runs(wanted: Wants, layout: Layout) -> Iterator[Orphan]:
    """Evaluations and analyses of wanted runs that nobody wants of them, and indices that name such."""
    for run in wanted.runs:
        evaluations, analyses = wanted.evaluations.get(run, set()), wanted.analyses.get(run, set())
        for path in _files(layout.run(run) / "eval"):
            named = inventory.indexed(path)
            if path.stem not in evaluations and (named is None or not named <= evaluations):
                yield Orphan("index" if inventory.is_index(path) else "evaluation", path)
        for path in _files(layout.run(run) / "analysis"):
            if path.stem not in analyses:
                yield Orphan("analysis", path)


def _checkpoints(wanted: Wants, layout: Layout) -> Iterator[Orphan]:
    """Those of work that nobody wants or that is finished, unless a process holds them."""
    unfinished = {layout.checkpoint(run) for run in wanted.runs if not is_trained(layout, run)}
    for run, evaluations in wanted.evaluations.items():
        if not all(_is_done(layout.evaluation(run, key)) for key in evaluations):
            unfinished.add(layout.unfinished(run, EVALUATIONS))
    for run, analyses in wanted.analyses.items():
        unfinished |= {
            layout.unfinished(run, key) for key in analyses if not _is_done(layout.analysis(run, key))
        }
    for path in _folders(layout.checkpoints):
        if path not in unfinished and not _in_use(path):
            yield Orphan("checkpoint", path)


def _is_done(stem: Path) -> bool:
    """Whether the record, which is written last, is there."""
    return stem.with_name(f"{stem.name}.json").is_file()


def _reports(wanted: Wants, reports: Path) -> Iterator[Orphan]:
    """Pages of studies that no params.yaml lists. Other folders in `reports` are not ours."""
    for folder in _folders(reports):
        ours = any((folder / name).is_file() for name in REPORT_MARKS)
        if ours and str(folder.resolve()) not in wanted.pages:
            yield Orphan("report", folder)


def _files(parent: Path) -> list[Path]:
    return sorted(parent.glob("[!.]*"))


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _at_work(run_id: str, layout: Layout) -> bool:
    """Whether a process trains, evaluates or analyses this run now."""
    return any(_in_use(path) for path in layout.checkpoints.glob(f"{glob.escape(run_id)}*"))


def _in_use(checkpoint: Path) -> bool:
    """Whether a job holds the lock of this folder."""
    return is_held(checkpoint / "lock")
