"""The runs of a scale before they are given a data set and a seed: method, parameters, model and budget."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from robustfront.config.experiment import Experiment, check_known
from robustfront.config.layers import Layer, place
from robustfront.config.networks import NetworkConfig
from robustfront.config.params import Params
from robustfront.config.quantities import path_part
from robustfront.config.runs import NamedRun, RunEntry
from robustfront.config.schema import Config, Training
from robustfront.config.starts import Home, home
from robustfront.config.validation import did_you_mean, validate
from robustfront.errors import ConfigError
from robustfront.methods import Methods
from robustfront.methods.base import Entry

M = TypeVar("M", bound=Config)


@dataclass(frozen=True)
class Recipe:
    """A run of a study. `init` names another recipe; `wanted`: listed by the scale, not only as an `init`.

    `models`: the network on data sets that have another one than `model`. `datasets`: those that it is made
    on. `name` and `init` are those of the study, or `<study>/<run>` of another one.
    """

    name: str
    wanted: bool
    method: Entry
    params: Config
    model: NetworkConfig
    models: Mapping[str, NetworkConfig]
    training: Training
    init: str | None
    datasets: Literal["all"] | tuple[str, ...]

    def model_on(self, dataset: str) -> NetworkConfig:
        """The network on that data set."""
        return self.models.get(dataset, self.model)

    @property
    def label(self) -> str:
        """The readable part of the run's id."""
        return path_part(self.method.label(self.params))


class Recipes:
    """The runs of all studies at one scale, each filled in once, whoever names it."""

    def __init__(self, params: Params, scale: str, methods: Methods) -> None:
        self.experiments, self.scale, self.methods = params.experiments, scale, methods
        self._known: dict[Home, Recipe] = {}
        self._homes: dict[Home, Home] = {}

    def of(self, study: str) -> dict[str, Recipe]:
        """The study's runs at this scale and those they start from, which come first.

        ConfigError if one cannot be run.
        """
        experiment = self.experiments[study]
        settings = experiment.scales[self.scale]
        listed = experiment.entries if settings.runs == "all" else settings.runs
        wanted: dict[str, None] = {}
        for name in listed:
            runs = experiment.entries.get(name, [name])
            wanted |= dict.fromkeys(runs if settings.sweeps == "all" else [runs[0], runs[-1]])
        found: dict[str, Recipe] = {}
        for name in wanted:
            lineage = itertools.takewhile(lambda key: key not in found, self._lineage(study, name))
            for key in reversed(list(lineage)):
                found[key] = replace(self._recipe(study, key), wanted=key in wanted)
        return found

    def _lineage(self, study: str, name: str) -> Iterator[str]:
        """The run, the one it starts from, and so on, as they are called in that study."""
        key: str | None = name
        while key is not None:
            yield key
            there, run = self._home(study, key)
            key = _seen_from(study, there, self.experiments[there].runs[run].entry.init)

    def _home(self, study: str, name: str) -> Home:
        """The run that `study` calls `name`, however many studies hand it on."""
        at, passed = home(study, name), []
        while at not in self._homes:
            there, run = at
            handed_on = self.experiments[there].borrowed.get(run)
            if handed_on is None:
                self._homes[at] = at
            else:
                passed.append(at)
                at = home(there, handed_on)
        found = self._homes[at]
        self._homes.update(dict.fromkeys(passed, found))
        if self.scale not in self.experiments[found[0]].scales:
            raise ConfigError(
                f"{self.experiments[study].source}: scales.{self.scale}.runs: '{name}' is a run of study "
                f"'{found[0]}', which has no such scale; give it one, or leave the run out"
            )
        return found

    def _recipe(self, study: str, name: str) -> Recipe:
        """One run; those it starts from have been asked for before."""
        there, run = self._home(study, name)
        if (there, run) not in self._known:
            experiment = self.experiments[there]
            named = experiment.runs[run]
            for key, data in experiment.scales[self.scale].changes.items():
                if run in experiment.entries.get(key, [key]):
                    named = named.changed(f"scales.{self.scale}.changes.{key}", data, experiment.source)
            for key in named.entry.datasets if named.entry.datasets != "all" else ():
                check_known(key, experiment.datasets, f"{experiment.source}: {named.where}.datasets")
            parent = self._recipe(there, named.entry.init) if named.entry.init is not None else None
            self._known[there, run] = _Resolver(experiment, self.scale, self.methods).resolve(named, parent)
        recipe = self._known[there, run]
        return replace(recipe, name=name, init=_seen_from(study, there, recipe.init))


def _seen_from(study: str, there: str, name: str | None) -> str | None:
    """What `study` calls the run that another one calls `name`."""
    if name is None:
        return None
    return "/".join(home(there, name)).removeprefix(f"{study}/")


class _Resolver:
    """Fills in what the runs of a study leave to its scale."""

    def __init__(self, experiment: Experiment, scale: str, methods: Methods) -> None:
        self.source, self.where, self.methods = experiment.source, f"scales.{scale}", methods
        self.scale = experiment.scales[scale]
        self.attacking = self.scale.model_dump(include={"threat", "attack"})

    def resolve(self, run: NamedRun, parent: Recipe | None) -> Recipe:
        name = run.entry.method
        if name not in self.methods.entries:
            known = did_you_mean(name, self.methods.entries)
            raise self._error(run, "method", f"there is no method {name!r}{known}")
        entry = self.methods[name]
        if entry.method.needs_null_space and parent is None:
            raise self._error(
                run, "init", f"missing; method '{name}' needs the null space of that run's head"
            )
        fields = entry.method.Params.model_fields
        given = {key: value for key, value in self.attacking.items() if key in fields}
        layers = [Layer(self.where, given), *run.of_method()]
        recipe = Recipe(
            name=run.name,
            wanted=False,
            method=entry,
            params=validate(entry.method.Params, layers, source=self.source, known=RunEntry.model_fields),
            model=self._model(run),
            models={name: self._model(run, name) for name in self.scale.models},
            training=self._overridden(
                Training,
                getattr(self.scale.training, entry.method.budget),
                "training",
                run,
                f".{entry.method.budget}",
            ),
            init=run.entry.init,
            datasets=run.entry.datasets,
        )
        for dataset in ("", *recipe.models):
            if parent is not None and parent.model_on(dataset).from_scratch != recipe.model_on(dataset):
                raise self._error(
                    run, "model", f"differs from that of '{parent.name}', which the run starts from"
                )
        return recipe

    def _model(self, run: NamedRun, dataset: str = "") -> NetworkConfig:
        """The run's network, another than the scale's, there or on that data set, or that with differences.

        `pretrained` is for runs that start from no other.
        """
        base = self.scale.model
        if dataset:
            layers = [Layer(f"{self.where}.model", base.model_dump())]
            layers.append(Layer(f"{self.where}.models.{dataset}", self.scale.models[dataset]))
            base = validate(NetworkConfig, layers, source=self.source)
        model = self._overridden(NetworkConfig, base, "model", run)
        return model if run.entry.init is None else model.from_scratch

    def _overridden(self, kind: type[M], base: M, key: str, run: NamedRun, part: str = "") -> M:
        """The scale's `key`, of type `kind`, with what the run says differs."""
        layers = [layer.at(key) for layer in run.layers]
        if not any(layer.data for layer in layers):
            return base
        scale = Layer(f"{self.where}.{key}{part}", base.model_dump())
        return validate(kind, [scale, *layers], source=self.source)

    def _error(self, run: NamedRun, key: str, problem: str) -> ConfigError:
        return ConfigError(f"{place(run.layers, (key,), self.source)}: {problem}")
