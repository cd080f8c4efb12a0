"""params.yaml -> every run, projector, data set and suite of one scale, resolved, hashed and in order."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustfront.config.identity import digest
from robustfront.config.params import Params, RunEntry, Scale, load_params, merge, suites
from robustfront.config.schema import Dataset, Run, Suite
from robustfront.config.validation import did_you_mean, validate
from robustfront.errors import ConfigError
from robustfront.methods import Registry, load_methods

_NOT_IDENTITY = {"path", "published_as"}
"""Fields of a data set that change no image: where this machine keeps the files, and which numbers stand beside ours."""


@dataclass(frozen=True)
class Projector:
    """The null-space projector of one run's head."""

    id: str
    run_id: str
    rank_tolerance: float


@dataclass
class PlannedRun:
    """A run, the names it has in params.yaml (several if they resolve to the same config), and its id."""

    id: str
    config: Run
    dataset_id: str
    names: list[str] = field(default_factory=list)

    @property
    def parents(self) -> list[str]:
        return [self.config.init] if self.config.init else []


@dataclass
class Plan:
    """Everything one scale consists of. `runs` is in an order in which parents come first."""

    scale: str
    note: str
    params: Params
    runs: dict[str, PlannedRun]
    projectors: dict[str, Projector]
    datasets: dict[str, Dataset]
    suites: dict[str, Suite]

    @property
    def settings(self) -> Scale:
        return self.params.scales[self.scale]

    def find(self, name: str, dataset_id: str) -> list[PlannedRun]:
        """The runs that params.yaml calls `name` on that data set, one per seed; empty if the scale has none."""
        return [run for run in self.runs.values() if name in run.names and run.dataset_id == dataset_id]


def dataset_id(dataset: Dataset) -> str:
    """Identity of the stored images: source, checksums and splits, not what is done to them in training."""
    return (
        f"{dataset.name}-{digest(dataset.model_dump(mode='json', include={'source', 'checksums', 'splits'}))}"
    )


def suite_id(suite: Suite) -> str:
    return f"{suite.name}-{digest(suite.model_dump(mode='json', exclude={'name'}), 6)}"


def run_digest(run: Run) -> str:
    """Hash of everything that decides the weights."""
    dataset = run.dataset.model_dump(mode="json", exclude=_NOT_IDENTITY)
    return digest(run.model_dump(mode="json", exclude={"dataset"}) | {"dataset": dataset})


def load_plan(path: Path = Path("params.yaml"), scale: str | None = None) -> Plan:
    """The plan of `scale` (by default the one params.yaml selects). ConfigError on any problem in the file."""
    params = load_params(path)
    methods = load_methods(path.parent / extension for extension in params.extensions)
    name = scale or params.scale
    if name not in params.scales:
        raise ConfigError(f"{path}: there is no scale '{name}'{did_you_mean(name, params.scales)}")
    for other in params.scales:  # a mistake in a scale not used today is still a mistake
        if other != name:
            _Planner(params, other, methods).plan()
    return _Planner(params, name, methods).plan()


class _Planner:
    def __init__(self, params: Params, scale: str, methods: Registry) -> None:
        self.params, self.scale_name, self.methods = params, scale, methods
        self.scale = params.scales[scale]
        self.runs: dict[str, PlannedRun] = {}
        self.projectors: dict[str, Projector] = {}

    def plan(self) -> Plan:
        names = list(self.params.runs) if self.scale.runs == "all" else list(self.scale.runs)
        datasets = [self.params.datasets[name] for name in self.scale.datasets]
        for dataset, seed, name in itertools.product(datasets, self.scale.seeds, names):
            for variant, entry in expand(name, self.params.runs[name], self.params.source):
                run = self._resolve(name, entry, dataset, seed, ())
                if variant not in run.names:
                    run.names.append(variant)
        return Plan(
            scale=self.scale_name,
            note=self.scale.note,
            params=self.params,
            runs=self.runs,
            projectors=self.projectors,
            datasets={dataset_id(dataset): dataset for dataset in datasets},
            suites={
                suite_id(suite): suite
                for suite in suites(self.scale, source=self.params.source, scale_name=self.scale_name)
            },
        )

    def _resolve(
        self, name: str, entry: RunEntry, dataset: Dataset, seed: int, path: tuple[str, ...]
    ) -> PlannedRun:
        where, source = f"runs.{name}", self.params.source
        if name in path:
            raise ConfigError(
                f"{source}: {where}.init: the runs {' -> '.join((*path, name))} start from each other"
            )
        if entry.method not in self.methods.entries:
            known = self.methods.entries
            raise ConfigError(
                f"{source}: {where}: unknown method '{entry.method}'{did_you_mean(entry.method, known)}"
            )
        method = self.methods[entry.method].method
        given = {
            key: getattr(self.scale, key).model_dump(mode="json")
            for key in ("threat", "attack")
            if key in method.Params.model_fields
        }
        method_params = validate(method.Params, merge(given, entry.params), source=source, where=where)
        budget = getattr(self.scale.training, method.budget)
        parent, projector = None, None
        if entry.init is not None:
            parent_entry = self.params.runs[entry.init]
            if parent_entry.sweep:
                raise ConfigError(
                    f"{source}: {where}.init: '{entry.init}' is a sweep; start from a single run"
                )
            parent = self._resolve(entry.init, parent_entry, dataset, seed, (*path, name))
        if method.needs_null_space:
            if parent is None:
                raise ConfigError(
                    f"{source}: {where}: method '{entry.method}' needs `init`, whose head gives the projector"
                )
            projector = self._projector(parent)
        config = Run(
            method=entry.method,
            params=method_params.model_dump(mode="json"),
            dataset=dataset,
            model=self._override(self.scale.model, entry.model, f"{where}.model"),
            training=self._override(budget, entry.training, f"{where}.training"),
            seed=seed,
            init=parent.id if parent else None,
            projector=projector.id if projector else None,
            rank_tolerance=projector.rank_tolerance if projector else None,
        )
        if parent and parent.config.model != config.model:
            raise ConfigError(f"{source}: {where}: its model differs from that of its init '{entry.init}'")
        label = self.methods[entry.method].label(method_params)
        run_id = f"{dataset.name}-{label}-s{seed}-{run_digest(config)}"
        return self.runs.setdefault(run_id, PlannedRun(run_id, config, dataset_id(dataset)))

    def _projector(self, parent: PlannedRun) -> Projector:
        tolerance = self.params.rank_tolerance
        identity = digest({"run": parent.id, "rank_tolerance": tolerance})
        projector = Projector(f"{parent.id.rsplit('-', 1)[0]}-{identity}", parent.id, tolerance)
        return self.projectors.setdefault(projector.id, projector)

    def _override(self, base: Any, over: dict[str, Any], where: str) -> Any:
        if not over:
            return base
        merged = merge(base.model_dump(mode="json"), over)
        return validate(type(base), merged, source=self.params.source, where=where)


def expand(name: str, entry: RunEntry, source: str) -> list[tuple[str, RunEntry]]:
    """A run's variants: itself, or one per combination of its `sweep`, named `<run>-<value>-...`."""
    if not entry.sweep:
        return [(name, entry)]
    if not all(entry.sweep.values()):
        raise ConfigError(f"{source}: runs.{name}.sweep: every list needs at least one value")
    variants = []
    for values in itertools.product(*entry.sweep.values()):
        params = merge(entry.params, dict(zip(entry.sweep, values, strict=True)))
        suffix = "-".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        variants.append((f"{name}-{suffix}", entry.model_copy(update={"params": params, "sweep": {}})))
    return variants
