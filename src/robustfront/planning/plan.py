"""params.yaml -> all runs, projectors, data sets, evaluations, analyses of one scale: resolved and hashed."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robustfront.config.analyses import Analysis
from robustfront.config.evaluations import Evaluation
from robustfront.config.identity import analysis_id, dataset_id, digest, index_id, run_digest
from robustfront.config.params import Params, Throughput, load_params
from robustfront.config.schema import Dataset, Run
from robustfront.config.studies import pick
from robustfront.config.validation import did_you_mean
from robustfront.errors import ConfigError
from robustfront.methods import Methods, methods
from robustfront.planning import fit
from robustfront.planning.datasets import Facts, check, facts
from robustfront.planning.recipes import Recipe, Recipes
from robustfront.planning.study import PlannedAnalysis, PlannedRun, StudyPlan


@dataclass(frozen=True)
class Projector:
    """The null-space projector of one run's head."""

    id: str
    run_id: str
    rank_tolerance: float


@dataclass
class Plan:
    """Everything that the studies do at one scale. `runs` is in an order in which parents come first.

    Equal configs are one run, whichever studies name it. `evaluations`: run id -> evaluation id ->
    evaluation; a run gets those of all studies that have it. `facts`: of each data set what is known by now.
    `absent`: studies that have no such scale.
    """

    scale: str
    note: str
    throughput: Throughput
    methods: Methods
    studies: dict[str, StudyPlan] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    projectors: dict[str, Projector] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    analyses: dict[str, PlannedAnalysis] = field(default_factory=dict)
    evaluations: dict[str, dict[str, Evaluation]] = field(default_factory=dict)

    @property
    def analysis_jobs(self) -> list[tuple[str, str]]:
        """(run id, analysis id) of all analyses."""
        return [(run, analysis.id) for analysis in self.analyses.values() for run in analysis.runs]

    def index(self, run_id: str) -> str:
        """Name, without suffix, of the file that says that all evaluations of a run are there."""
        return index_id(self.evaluations[run_id])

    def devices(self, run_id: str, most: int) -> int:
        """To how many of `most` devices the training of a run can be shared out; 1 if its method cannot."""
        return most if self.methods[self.runs[run_id].config.method].method.per_image else 1


class Plans:
    """All that the files of numbers ask for, read once. ConfigError on any problem in any of the files.

    What only shows when a scale is planned is told by `of` and `scales`. `results`: the folder whose data
    sets are known by what was made of them; what does not fit them is a problem like any other.
    """

    def __init__(self, path: Path, results: Path | None = None) -> None:
        self._path, self._params, self._results = path, load_params(path), results
        _check_datasets(self._params)
        self._planned: dict[str, Plan] = {}

    @property
    def files(self) -> list[Path]:
        """The files that the plans were read from: params.yaml, and the params files of studies."""
        return [self._path, *(experiment.study.params for experiment in self._params.experiments.values())]

    @property
    def scales(self) -> dict[str, Plan]:
        """The plans of all scales, by name, with all studies."""
        return {name: self._whole(name) for name in self._params.scales}

    def try_all(self) -> None:
        """ConfigError on a mistake in any scale: in one that is not used today it is a mistake, too."""
        for name in self._params.scales:
            self._whole(name)

    def _whole(self, scale: str) -> Plan:
        if scale not in self._planned:
            self._planned[scale] = _plan(self._params, scale, self._results)
        return self._planned[scale]

    def of(self, scale: str | None = None, studies: Sequence[str] | None = None) -> Plan:
        """The plan of `scale`, by default the one params.yaml selects, and of `studies`, by default all.

        ConfigError if there is no such scale or study, or none of these has that scale.
        """
        name = scale or self._params.scale
        if name not in self._params.scales:
            raise ConfigError(
                f"{self._path}: there is no scale {name!r}{did_you_mean(name, self._params.scales)}"
            )
        pick(studies, self._params.experiments, self._params.source)
        plan = _plan(self._params, name, self._results, studies) if studies else self._whole(name)
        if not plan.studies:
            raise ConfigError(
                f"{self._path}: no study has a scale {name!r} (asked: {', '.join(plan.absent)}); "
                "give one such a scale, or choose another"
            )
        return plan


def load_plan(
    path: Path = Path("params.yaml"), scale: str | None = None, studies: Sequence[str] | None = None
) -> Plan:
    """One of the plans, as `Plans.of` has it, once all have been tried."""
    plans = Plans(path)
    plans.try_all()
    return plans.of(scale, studies)


def _check_datasets(params: Params) -> None:
    for key, dataset in params.datasets.items():
        check(dataset, f"{params.source}: datasets.{key}")
    for experiment in params.experiments.values():
        for key in experiment.own:
            check(experiment.datasets[key], f"{experiment.source}: datasets.{key}")


def _plan(params: Params, scale: str, results: Path | None, studies: Sequence[str] | None = None) -> Plan:
    frame, recipes = params.scales[scale], Recipes(params, scale, methods)
    plan = Plan(scale, frame.note, frame.throughput, methods)
    for name in pick(studies, params.experiments, params.source):
        if scale in params.experiments[name].scales:
            _add_study(plan, name, recipes.of(name), params, results)
        else:
            plan.absent.append(name)
    for name, study in plan.studies.items():
        study.beside = {other: planned for other, planned in plan.studies.items() if other != name}
    return plan


def _add_study(plan: Plan, name: str, found: dict[str, Recipe], params: Params, results: Path | None) -> None:
    """Adds a study with its runs, their evaluations, its analyses, and the projectors these need."""
    experiment = params.experiments[name]
    settings = experiment.scales[plan.scale]
    datasets = [experiment.datasets[key] for key in settings.datasets]
    ours = {dataset_id(dataset): dataset for dataset in datasets}
    study = plan.studies[name] = StudyPlan(experiment.study, plan.scale, plan.note, settings, ours)
    for key, dataset in ours.items():
        plan.datasets.setdefault(key, dataset)
        plan.facts.setdefault(key, facts(dataset, results))
    builder = _Builder(plan, study, experiment.source, params.rank_tolerance)
    for dataset, seed in itertools.product(datasets, settings.seeds):
        builder.add_runs(found, dataset, seed)
    for key, analysis in settings.analyses.items():
        builder.add_analysis(key, analysis, experiment.entries)
    where = f"{experiment.source}: scales.{plan.scale}"
    for run in study.runs.values():
        asking = [suite for suite in settings.suites.values() if suite.asks_for(run.names)]
        fit.check_suites(asking, run, where)
        plan.evaluations.setdefault(run.id, {}).update(study.wanted(run.id))
    known = {dataset.name: plan.facts[key] for key, dataset in ours.items()}
    fit.check_samples(settings, known, where)
    for key, each in known.items():
        fit.check_attacks(settings.suites.values(), key, each, where)


@dataclass
class _Builder:
    """Adds what one study asks for to its plan and to that of all. `source`: its file, as in messages."""

    plan: Plan
    study: StudyPlan
    source: str
    rank_tolerance: float

    def add_runs(self, found: dict[str, Recipe], dataset: Dataset, seed: int) -> None:
        """Adds the runs of all recipes on one data set with one seed, and the projectors they need."""
        runs: dict[str, PlannedRun] = {}
        for recipe in found.values():
            if recipe.datasets != "all" and dataset.name not in recipe.datasets:
                continue
            where = f"{self.source}: scales.{self.plan.scale}, run '{recipe.name}' on {dataset.name}"
            model = recipe.model_on(dataset.name)
            fit.check_batches(recipe.training, self.plan.facts[dataset_id(dataset)], where)
            fit.check_validation(recipe.method.method, recipe.params, dataset, where)
            fit.check_features(model, self.study.suites.values(), where)
            if recipe.init is not None and recipe.init not in runs:
                raise ConfigError(f"{where}: starts from '{recipe.init}', which is not made on that data set")
            init = runs[recipe.init].id if recipe.init is not None else None
            projector = None
            if recipe.method.method.needs_null_space and init is not None:
                known = self.plan.facts[dataset_id(dataset)]
                fit.check_null_space(model, known, where, f"method '{recipe.method.name}'")
                projector = self._projector(init)
            config = Run(
                method=recipe.method.name,
                params=recipe.params.model_dump(mode="json"),
                dataset=dataset,
                model=model,
                training=recipe.training,
                seed=seed,
                init=init,
                projector=projector,
                rank_tolerance=self.rank_tolerance if projector else None,
            )
            run_id = f"{dataset.name}-{recipe.label}-s{seed}-{run_digest(config, recipe.params)}"
            runs[recipe.name] = self._run(PlannedRun(run_id, config, dataset_id(dataset)), recipe)

    def _run(self, run: PlannedRun, recipe: Recipe) -> PlannedRun:
        """The run as it stands in the study's plan, with this recipe's name if the study wants it."""
        shared = self.plan.runs.setdefault(run.id, run)
        elsewhere = run.config.dataset.model_copy(update={"path": shared.config.dataset.path})
        if shared.config != run.config.model_copy(update={"dataset": elsewhere}):
            others = " and ".join(shared.names) or "another run"
            raise ConfigError(  # one in four billion, and it would hand out another run's results
                f"{self.source}: runs.{recipe.name}: shares its id {run.id} with {others} by chance; change "
                "any number of it a little"
            )
        own = self.study.runs.setdefault(run.id, PlannedRun(run.id, shared.config, run.dataset_id))
        if recipe.wanted and recipe.name not in own.names:
            own.names.append(recipe.name)
            shared.names.append(f"{self.study.study.name}/{recipe.name}")
        return own

    def add_analysis(self, name: str, analysis: Analysis, entries: dict[str, list[str]]) -> None:
        """Adds the analysis on its runs, data set by data set, and the projectors it needs."""
        names = dict.fromkeys(run for key in analysis.runs for run in entries.get(key, [key]))
        first_seed = self.study.settings.seeds[0]
        runs: dict[str, str | None] = {}
        for dataset, run_name in itertools.product(self.study.datasets, names):
            for run in self.study.find(run_name, dataset):
                if run.config.seed == first_seed:
                    fit.check_analysis(name, analysis, run, f"{self.source}: scales.{self.plan.scale}")
                    runs[run.id] = self._start(name, analysis, run, run_name)
        key = analysis_id(name, analysis, self.rank_tolerance)
        self.study.analyses[key] = PlannedAnalysis(key, analysis, runs)
        others = self.plan.analyses.get(key)
        self.plan.analyses[key] = PlannedAnalysis(key, analysis, {**(others.runs if others else {}), **runs})

    def _start(self, name: str, analysis: Analysis, run: PlannedRun, run_name: str) -> str | None:
        """The projector of what the run starts from, if the analysis needs it."""
        if not analysis.needs_start:
            return None
        if run.config.init is None:
            raise ConfigError(
                f"{self.source}: analyses.{name}.runs: '{run_name}' starts from no other run, but "
                f"kind {analysis.kind} compares a run with its start; leave it out"
            )
        where = f"{self.source}: scales.{self.plan.scale}, run '{run_name}' on {run.config.dataset.name}"
        fit.check_null_space(run.config.model, self.plan.facts[run.dataset_id], where, f"analysis '{name}'")
        return self._projector(run.config.init)

    def _projector(self, run_id: str) -> str:
        """Id of the projector of that run's head."""
        identity = digest({"run": run_id, "rank_tolerance": self.rank_tolerance})
        projector = Projector(f"{run_id.rsplit('-', 1)[0]}-{identity}", run_id, self.rank_tolerance)
        return self.plan.projectors.setdefault(projector.id, projector).id
