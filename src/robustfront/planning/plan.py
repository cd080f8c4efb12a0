"""params.yaml -> every run, projector, data set, suite and analysis of one scale: resolved and hashed."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from robustfront.config.analyses import Analysis
from robustfront.config.identity import analysis_id, dataset_id, digest, run_digest, suite_id
from robustfront.config.params import Params, Scale, load_params
from robustfront.config.schema import Dataset, Run, Suite
from robustfront.config.validation import did_you_mean
from robustfront.errors import ConfigError
from robustfront.methods import Registry, load_methods
from robustfront.planning import fit
from robustfront.planning.datasets import check
from robustfront.planning.recipes import Recipe, recipes


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


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis, and the runs it is done on: run id -> the projector it needs there, if any."""

    id: str
    config: Analysis
    runs: dict[str, str | None]


@dataclass
class Plan:
    """Everything one scale consists of. `runs` is in an order in which parents come first."""

    scale: str
    settings: Scale
    methods: Registry
    runs: dict[str, PlannedRun]
    projectors: dict[str, Projector]
    datasets: dict[str, Dataset]
    suites: dict[str, Suite]
    analyses: dict[str, PlannedAnalysis]

    @property
    def analysis_jobs(self) -> list[tuple[str, str]]:
        """(run id, analysis id) of all analyses."""
        return [(run, analysis.id) for analysis in self.analyses.values() for run in analysis.runs]

    @property
    def note(self) -> str:
        """One line a reader sees beside every number."""
        return self.settings.note

    def devices(self, run_id: str, most: int) -> int:
        """To how many of `most` devices the training of a run can be shared out; 1 if its method cannot."""
        return most if self.methods[self.runs[run_id].config.method].method.per_image else 1

    def find(self, name: str, dataset_id: str) -> list[PlannedRun]:
        """The runs params.yaml calls `name` on that data set, one per seed; empty if the scale has none."""
        return [run for run in self.runs.values() if name in run.names and run.dataset_id == dataset_id]


def load_plan(path: Path = Path("params.yaml"), scale: str | None = None) -> Plan:
    """The plan of `scale`, by default the one params.yaml selects. ConfigError on any problem in the file."""
    params = load_params(path)
    name = scale or params.scale
    if name not in params.scales:
        raise ConfigError(f"{path}: there is no scale {name!r}{did_you_mean(name, params.scales)}")
    return _plans(params)[name]  # a mistake in a scale that is not used today is still a mistake


def load_plans(path: Path) -> dict[str, Plan]:
    """The plans of all scales, by name."""
    return _plans(load_params(path))


def _plans(params: Params) -> dict[str, Plan]:
    for key, dataset in params.datasets.items():
        check(dataset, f"{params.source}: datasets.{key}")
    methods = load_methods(params.extensions)
    return {key: _plan(params, key, methods) for key in params.scales}


def _plan(params: Params, name: str, methods: Registry) -> Plan:
    settings, found = params.scales[name], recipes(params, name, methods)
    datasets = [params.datasets[key] for key in settings.datasets]
    plan = Plan(
        scale=name,
        settings=settings,
        methods=methods,
        runs={},
        projectors={},
        datasets={dataset_id(dataset): dataset for dataset in datasets},
        suites={suite_id(suite): suite for suite in settings.suites.values()},
        analyses={},
    )
    for dataset, seed in itertools.product(datasets, settings.seeds):
        _add_runs(plan, found, dataset, seed, params)
    for key, analysis in settings.analyses.items():
        _add_analysis(plan, key, analysis, params)
    fit.check_samples(settings, datasets, f"{params.source}: scales.{name}")
    return plan


def _add_runs(plan: Plan, found: dict[str, Recipe], dataset: Dataset, seed: int, params: Params) -> None:
    """Adds the runs of all recipes on one data set with one seed, and the projectors they need."""
    runs: dict[str, PlannedRun] = {}
    for recipe in found.values():
        where = f"{params.source}: scales.{plan.scale}, run '{recipe.name}' on {dataset.name}"
        fit.check_batches(recipe.training, dataset, where)
        init = runs[recipe.init].id if recipe.init is not None else None
        projector = None
        if recipe.method.method.needs_null_space and init is not None:
            fit.check_null_space(recipe.model, dataset, where, f"method '{recipe.method.name}'")
            projector = _add_projector(plan, init, params.rank_tolerance)
        config = Run(
            method=recipe.method.name,
            params=recipe.params.model_dump(mode="json"),
            dataset=dataset,
            model=recipe.model,
            training=recipe.training,
            seed=seed,
            init=init,
            projector=projector,
            rank_tolerance=params.rank_tolerance if projector else None,
        )
        run_id = f"{dataset.name}-{recipe.label}-s{seed}-{run_digest(config)}"
        run = plan.runs.setdefault(run_id, PlannedRun(run_id, config, dataset_id(dataset)))
        if run.config != config:  # one in four billion, and it would hand out another run's results
            raise ConfigError(
                f"runs.{recipe.name}: shares its id {run_id} with {' and '.join(run.names)} by chance; "
                "change any number of it a little"
            )
        if recipe.wanted and recipe.name not in run.names:
            run.names.append(recipe.name)
        runs[recipe.name] = run


def _add_projector(plan: Plan, run_id: str, rank_tolerance: float) -> str:
    """Id of the projector of that run's head."""
    identity = digest({"run": run_id, "rank_tolerance": rank_tolerance})
    projector = Projector(f"{run_id.rsplit('-', 1)[0]}-{identity}", run_id, rank_tolerance)
    return plan.projectors.setdefault(projector.id, projector).id


def _add_analysis(plan: Plan, name: str, analysis: Analysis, params: Params) -> None:
    """Adds the analysis on its runs, data set by data set, and the projectors it needs."""
    names = dict.fromkeys(run for key in analysis.runs for run in params.entries.get(key, [key]))
    first_seed = plan.settings.seeds[0]
    runs: dict[str, str | None] = {}
    for dataset, run_name in itertools.product(plan.datasets, names):
        for run in plan.find(run_name, dataset):
            if run.config.seed != first_seed:
                continue
            projector = None
            if analysis.needs_start:
                if run.config.init is None:
                    raise ConfigError(
                        f"{params.source}: analyses.{name}.runs: '{run_name}' starts from no other run, but "
                        f"kind {analysis.kind} compares a run with its start; leave it out"
                    )
                where = f"{params.source}: scales.{plan.scale}, run '{run_name}' on {run.config.dataset.name}"
                fit.check_null_space(run.config.model, run.config.dataset, where, f"analysis '{name}'")
                projector = _add_projector(plan, run.config.init, params.rank_tolerance)
            runs[run.id] = projector
    key = analysis_id(name, analysis, params.rank_tolerance)
    plan.analyses[key] = PlannedAnalysis(key, analysis, runs)
