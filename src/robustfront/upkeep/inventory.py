"""What the plan wants on disk, what of it is there, and by which code and from which files it was made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustfront.artefacts import Layout, read_json, sha256
from robustfront.checksums import recorded
from robustfront.errors import ArtefactError, ConfigError
from robustfront.planning import Plan
from robustfront.planning.files import TRAINED, evaluation_files, is_trained
from robustfront.planning.sources import analysis_code, evaluation_code, training_code

RECORDS = (
    "datasets/*/manifest.json",
    "projectors/*/projector.json",
    "runs/*/manifest.json",
    "runs/*/eval/*.json",
    "runs/*/analysis/*.json",
)
"""The records in a results folder: each covers the files of its step (an index, those of other records)."""


@dataclass(frozen=True)
class Item:
    """What one step leaves. `id`: `<run> <evaluation>` for an evaluation, likewise an index or analysis."""

    kind: str
    id: str
    files: tuple[Path, ...]

    @property
    def missing(self) -> list[Path]:
        return [path for path in self.files if not path.is_file()]


def wanted(plan: Plan, layout: Layout) -> Iterator[Item]:
    """Everything that `snakemake runs` makes for a plan."""

    def item(kind: str, name: str, folder: Path, *files: str) -> Item:
        return Item(kind, name, tuple(folder / file for file in files))

    for key in plan.datasets:
        yield item("data set", key, layout.dataset(key), "images.safetensors", "manifest.json")
    for key in plan.projectors:
        yield item("projector", key, layout.projector(key), "projector.safetensors", "projector.json")
    for run in plan.runs:
        yield item("run", run, layout.run(run), *TRAINED)
        for key, evaluation in plan.evaluations[run].items():
            files = evaluation_files(layout, run, key, evaluation)
            yield Item("evaluation", f"{run} {key}", tuple(files))
        index = plan.index(run)
        yield item("index", f"{run} {index}", layout.evaluation(run, index).parent, f"{index}.json")
    for run, key in plan.analysis_jobs:
        folder = layout.analysis(run, key).parent
        yield item("analysis", f"{run} {key}", folder, f"{key}.safetensors", f"{key}.json")


def missing(plan: Plan, layout: Layout) -> list[Item]:
    """The items of which a file is not there."""
    return [item for item in wanted(plan, layout) if item.missing]


def stale(plan: Plan, layout: Layout) -> dict[str, tuple[str, str]]:
    """Trained runs of the plan that other code made: id -> its digest, that of today's.

    Not those of which `reproduce` has shown since that today's code makes the same weights.
    """
    found = {}
    for run in plan.runs.values():
        if not is_trained(layout, run.id):
            continue
        now = training_code(run.config, plan.methods)
        facts = read_facts(layout.run(run.id) / "manifest.json")
        then = facts.get("sources")
        if then is not None and now not in (then, *facts.get("vouched", ())):
            found[run.id] = (then, now)
    return found


def stale_parts(plan: Plan, layout: Layout) -> dict[Path, tuple[str, str]]:
    """Records of the plan's evaluations and analyses that other sources made -> digests, then and now."""
    models = {key: run.config.model for key, run in plan.runs.items()}
    today = {
        layout.evaluation(run, key): evaluation_code(evaluation, models[run])
        for run, evaluations in plan.evaluations.items()
        for key, evaluation in evaluations.items()
    }
    today |= {
        layout.analysis(run, key): analysis_code(plan.analyses[key].config, models[run])
        for run, key in plan.analysis_jobs
    }
    found = {}
    for stem, now in today.items():
        path = stem.with_name(f"{stem.name}.json")
        try:
            then = read_facts(path).get("sources")
        except ArtefactError:
            continue  # it is missing, or `verify` tells
        if then is not None and then != now:
            found[path] = (then, now)
    return found


def read_facts(path: Path) -> dict[str, Any]:
    """A record. ArtefactError if it is missing, damaged or no mapping."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ArtefactError(f"{path}: damaged (no mapping); delete it and run `snakemake` again")
    return content


def records(results: Path) -> dict[Path, dict[str, Any]]:
    """All readable records below `results`, planned or not."""
    found = {}
    for path in (path for pattern in RECORDS for path in sorted(results.glob(pattern))):
        try:
            found[path] = read_facts(path)
        except ArtefactError:
            continue  # `verify` tells
    return found


def outdated(results: Path, found: Mapping[Path, dict[str, Any]]) -> dict[Path, list[str]]:
    """Records made from other bytes than those that lie there now, and the inputs concerned.

    What lies in `results` is what other records vouch for; original images are read.
    """
    now = {
        (path.parent / name).relative_to(results).as_posix(): checksum
        for path, record in found.items()
        for name, checksum in recorded(record).items()
    }
    changed = {
        path: [name for name, then in record.get("made_from", {}).items() if now.get(name, then) != then]
        + replaced(record)
        for path, record in found.items()
    }
    return {path: inputs for path, inputs in changed.items() if inputs}


def replaced(record: Mapping[str, Any]) -> list[str]:
    """The paths of original images that the record of a data set names and that have another content now.

    One that is gone is none: a data set that is made needs it no more.
    """
    files = ((Path(file["path"]).expanduser(), file) for file in record.get("raw_files", {}).values())
    return [str(path) for path, file in files if path.is_file() and not _is_same(path, file)]


def edited_since(manifest: Path) -> list[str]:
    """What `replaced` finds for the record of a data set; reads nothing unless a file is younger than it."""
    try:
        made, record = manifest.stat().st_mtime, read_facts(manifest)
    except (OSError, ArtefactError):
        return []
    files = record.get("raw_files", {})
    if all(_time(Path(file["path"]).expanduser()) <= made for file in files.values()):
        return []
    return replaced(record)


def _time(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0


def _is_same(path: Path, file: Mapping[str, Any]) -> bool:
    return path.stat().st_size == file["bytes"] and sha256(path) == file["sha256"]


def is_index(path: Path) -> bool:
    """Whether that is an index of evaluations; no evaluation is called so."""
    return path.parent.name == "eval" and path.stem.startswith("index-")


def indexed(path: Path) -> set[str] | None:
    """The evaluations that an index vouches for; None if that is no index, or a damaged one."""
    try:
        return set(read_facts(path)["evaluations"]) if is_index(path) else None
    except (ArtefactError, LookupError, TypeError):
        return None


def vouching(evaluation: Path, found: Mapping[Path, dict[str, Any]]) -> list[Path]:
    """Of the records `found`, the indices that say that this evaluation of the same run is there."""
    beside = (path for path in found if path.parent == evaluation.parent and is_index(path))
    return [path for path in beside if evaluation.stem in found[path].get("evaluations", ())]


def descendants(plan: Plan, runs: set[str]) -> set[str]:
    """`runs` and those that start from one of them, at any distance."""
    found = set(runs)
    for run in plan.runs.values():  # parents come first
        if run.config.init in found:
            found.add(run.id)
    return found


def pick_runs(plan: Plan, name: str) -> list[str]:
    """The runs of a plan with that id or name, from which the study's may be left out.

    ConfigError if there is none.
    """
    from robustfront.config.validation import did_you_mean

    if name in plan.runs:
        return [name]
    found = [run.id for run in plan.runs.values() if run.is_called(name)]
    if not found:
        full = [known for run in plan.runs.values() for known in run.names]
        names = {*plan.runs, *full, *(known.rpartition("/")[2] for known in full)}
        raise ConfigError(f"scale '{plan.scale}' has no run {name!r}{did_you_mean(name, names)}")
    return found
