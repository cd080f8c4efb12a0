"""`robustfront prune`: what params.yaml no longer names, or what other code made, and its removal."""

import glob
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from robustfront.artefacts import Layout, leftovers
from robustfront.errors import ArtefactError
from robustfront.planning import Plan
from robustfront.upkeep import inventory

SETTLED = 3600
"""Seconds after which a temporary file is what a killed process left, and not one being written."""


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


def orphans(plans: Iterable[Plan], layout: Layout, reports: Path) -> list[Orphan]:
    """What none of `plans` wants, and what finished or killed processes left behind."""
    plans = list(plans)
    found = [*_unplanned(plans, layout), *_checkpoints(plans, layout)]
    found += _of_planned_runs(plans, layout)
    found += _figures(plans, reports)
    known = [orphan.path for orphan in found]
    now = time.time()
    for path in leftovers(layout.results):
        below = any(parent in known for parent in path.parents)
        if not below and now - path.stat().st_mtime > SETTLED:
            found.append(Orphan("temporary file", path))
    return found


def stale(plan: Plan, layout: Layout) -> list[Orphan]:
    """What must go so that `snakemake` makes anew what other code made, or what was made from other files.

    That is each such run with all that starts from it, and their projectors; evaluations and analyses go with
    their runs, or alone if only they are out of date. A run that a process is at stays:
    `status` tells of it again.
    """
    outdated = inventory.outdated(layout.results, inventory.records(layout.results))
    runs = {*inventory.stale(plan, layout)}
    runs |= {path.parent.name for path in outdated if path.parent.parent == layout.results / "runs"}
    doomed = {run for run in inventory.descendants(plan, runs & {*plan.runs}) if not _at_work(run, layout)}
    found = [Orphan("run", layout.run(run)) for run in plan.runs if run in doomed]
    found += [Orphan("checkpoint", layout.checkpoint(run)) for run in plan.runs if run in doomed]
    projectors = {key for key, projector in plan.projectors.items() if projector.run_id in doomed}
    projectors |= {path.parent.name for path in outdated if path.name == "projector.json"}
    found += [Orphan("projector", layout.projector(key)) for key in sorted(projectors)]
    for path in outdated:
        if path.parent.name in ("eval", "analysis") and path.parent.parent.name not in doomed:
            kind = "evaluation" if path.parent.name == "eval" else "analysis"
            found += [Orphan(kind, file) for file in sorted(path.parent.glob(f"{path.stem}.*"))]
    return [orphan for orphan in found if orphan.path.exists()]


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


def _unplanned(plans: list[Plan], layout: Layout) -> Iterator[Orphan]:
    """Folders of runs, projectors and data sets that no plan has; a run that a process is at stays."""
    for kind, folder, ids in (
        ("run", "runs", {run for plan in plans for run in plan.runs}),
        ("projector", "projectors", {key for plan in plans for key in plan.projectors}),
        ("data set", "datasets", {key for plan in plans for key in plan.datasets}),
    ):
        for path in _folders(layout.results / folder):
            if path.name not in ids and not (kind == "run" and _at_work(path.name, layout)):
                yield Orphan(kind, path)


def _of_planned_runs(plans: list[Plan], layout: Layout) -> Iterator[Orphan]:
    """Evaluations and analyses of wanted runs that no plan with the run has."""
    suites: dict[str, set[str]] = {}
    analyses: dict[str, set[str]] = {}
    for plan in plans:
        for run in plan.runs:
            suites.setdefault(run, set()).update(plan.suites)
        for run, key in plan.analysis_jobs:
            analyses.setdefault(run, set()).add(key)
    for run, of_run in suites.items():
        for kind, folder, ids in (
            ("evaluation", "eval", of_run),
            ("analysis", "analysis", analyses.get(run, set())),
        ):
            for path in sorted((layout.run(run) / folder).glob("[!.]*")):
                if path.stem not in ids:
                    yield Orphan(kind, path)


def _checkpoints(plans: list[Plan], layout: Layout) -> Iterator[Orphan]:
    """Those of work that no plan has or that is finished, unless a process holds them."""
    unfinished = {
        layout.unfinished(*item.id.split()) if " " in item.id else layout.checkpoint(item.id)
        for plan in plans
        for item in inventory.wanted(plan, layout)
        if item.missing
    }
    for path in _folders(layout.checkpoints):
        if path not in unfinished and not _in_use(path):
            yield Orphan("checkpoint", path)


def _figures(plans: list[Plan], reports: Path) -> Iterator[Orphan]:
    """Training curves of runs that no plan has."""
    runs = {run for plan in plans for run in plan.runs}
    for path in sorted((reports / "figures" / "training").glob("[!.]*")):
        if path.stem not in runs:
            yield Orphan("figure", path)


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _at_work(run_id: str, layout: Layout) -> bool:
    """Whether a process trains, evaluates or analyses this run now."""
    return any(_in_use(path) for path in layout.checkpoints.glob(f"{glob.escape(run_id)}*"))


def _in_use(checkpoint: Path) -> bool:
    """Whether a job holds the lock of this folder."""
    path = checkpoint / "lock"
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
