"""The params file of one study: its runs, data sets of its own, and what each scale makes of them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from robustfront.config.analyses import Analysis
from robustfront.config.evaluations import Suite
from robustfront.config.layers import Layer, dotted, place
from robustfront.config.quantities import Distinct, Name, Seed
from robustfront.config.runs import NamedRun, expand, matched_to_starts
from robustfront.config.schema import Ascent, Config, Dataset, Model, Threat, Training
from robustfront.config.studies import Study
from robustfront.config.validation import chain, describe, did_you_mean, validate
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ConfigError

OWN = ("runs", "analyses", "changes")
"""Keys of a scale that name a study's own runs: a study that is `like` it does not have them."""


class Budgets(Config):
    """How long and how a run is trained; a method says which of the two it needs."""

    standard: Training
    adversarial: Training


class Scale(Config):
    """What a study does at a scale: data sets, model, budgets, threat model and evaluation of every run."""

    datasets: Distinct[str]
    seeds: Distinct[Seed] = (0,)
    runs: Literal["all"] | Distinct[str] = Field("all", description="names under `runs`, or a sweep's")
    sweeps: Literal["all", "ends"] = Field(
        "all", description="of the runs that a sweep stands for: all, or the first and the last"
    )
    changes: dict[str, dict[str, Any]] = Field(
        {}, description="name under `runs`, or a sweep's -> what of the run is otherwise at this scale"
    )
    model: Model
    models: dict[str, dict[str, Any]] = Field(
        {}, description="data set -> what differs there from `model`, for all runs"
    )
    threat: Threat = Field(description="of training attacks")
    attack: Ascent = Field(description="of training attacks")
    training: Budgets
    suites: dict[Name, Suite] = Field(min_length=1)
    analyses: dict[Name, Analysis] = Field({}, description="computed from trained models, for figures")


def _run_or_name(value: Any) -> Any:
    if isinstance(value, Mapping) or (isinstance(value, str) and "/" in value):
        return value
    raise ValueError("must be a mapping of keys to values, or `<study>/<run>` to show a run of another study")


_Entry = Annotated[dict[str, Any] | str, BeforeValidator(_run_or_name)]


class File(Config):
    """The keys of a study's params file. Data sets, runs and scales are looked into one by one."""

    like: str | None = Field(
        None, description="a study whose data sets, defaults and scales lie below those of this one"
    )
    extensions: tuple[str, ...] = Field((), description="Python files of your own, relative to this one")
    datasets: dict[Name, dict[str, Any]] = Field({}, description="beside the shared ones")
    runs: dict[Name, _Entry] = Field(
        min_length=1, description="a run, or `<study>/<run>`: another study's, for comparison"
    )
    defaults: dict[str, Any] = Field({}, description="merged into every scale")
    scales: dict[Name, dict[str, Any]] = Field({}, description="what differs from `defaults` there")

    @model_validator(mode="after")
    def has_scales(self) -> "File":
        if not self.scales and self.like is None:
            raise ValueError("scales: missing; say what the study does at each, or which it is `like`")
        return self


@dataclass(frozen=True)
class Experiment:
    """A study's params, checked.

    `entries`: key under `runs` -> names of its runs, several if it has a sweep. A name is among `runs` or, if
    it stands for another study's run, among `borrowed`: name -> `<study>/<run>`. `own`: the data sets that
    stand in its file.
    """

    study: Study
    datasets: dict[str, Dataset]
    own: frozenset[str]
    scales: dict[str, Scale]
    runs: dict[str, NamedRun]
    entries: dict[str, list[str]]
    borrowed: dict[str, str]

    @property
    def name(self) -> str:
        return self.study.name

    @property
    def source(self) -> str:
        """The file of its params, as in messages."""
        return str(self.study.params)


class Files:
    """The files of all studies, read once, and what each becomes with those that it is `like`."""

    def __init__(self, studies: Iterable[Study], scales: Collection[str]) -> None:
        self.studies = {study.name: study for study in studies}
        self.scales = scales
        self.files = {name: read(study.params) for name, study in self.studies.items()}

    @property
    def extensions(self) -> Iterator[Path]:
        """The files that they name, to be read before `experiments` asks for what these register."""
        for name, study in self.studies.items():
            yield from (study.params.parent / path for path in self.files[name].extensions)

    def experiments(self, shared: Mapping[str, Dataset]) -> dict[str, Experiment]:
        """All of them, by name. ConfigError naming file, key, value and what is allowed."""
        return {name: self._experiment(name, shared) for name in self.studies}

    def _experiment(self, name: str, shared: Mapping[str, Dataset]) -> Experiment:
        study, file = self.studies[name], self.files[name]
        source, lineage = str(study.params), self._lineage(name)
        datasets = dict(shared)
        for ancestor in lineage:
            for key, data in self.files[ancestor].datasets.items():
                if key in datasets:
                    raise ConfigError(
                        f"{self._file(ancestor)}: {dotted('datasets', key)}: there is a data set of that "
                        "name already, shared or of a study that this one is like; rename this one"
                    )
                datasets[key] = dataset(key, data, self._file(ancestor))
        written = {key: data for key, data in file.runs.items() if not isinstance(data, str)}
        borrowed = {key: data for key, data in file.runs.items() if isinstance(data, str)}
        variants = {key: expand(key, data, source) for key, data in written.items()}
        runs = _by_name([run for of_entry in variants.values() for run in of_entry], source)
        names = {key: [run.name for run in variants.get(key, ())] or [key] for key in file.runs}
        runs = {run.name: run for entry in variants for run in matched_to_starts(entry, names, runs)}
        for key in borrowed:
            if key in runs:
                raise ConfigError(f"{source}: runs.{key}: a sweep makes a run of that name, too; rename it")
        scales = {}
        for key in self._scales(lineage):
            layers = [layer for ancestor in lineage for layer in self._layers(ancestor, key, name)]
            scales[key] = _scale(layers, datasets, names | {run: [run] for run in runs}, source)
        return Experiment(study, datasets, frozenset(file.datasets), scales, runs, names, borrowed)

    def _lineage(self, name: str) -> list[str]:
        """The study and those it is `like`, the most remote one first."""
        found: list[str] = []
        key: str | None = name
        while key is not None:
            where = f"{self.studies[found[-1] if found else name].params}: like = {describe(key)}"
            if key in found:
                shown = chain([*found[found.index(key) :], key])
                raise ConfigError(f"{where}: the studies {shown} are like each other; remove one `like`")
            if key not in self.files:
                known = did_you_mean(key, self.files)
                raise ConfigError(f"{where}: `studies` of params.yaml has no such study{known}")
            found.append(key)
            key = self.files[key].like
        return found[::-1]

    def _layers(self, ancestor: str, scale: str, name: str) -> list[Layer]:
        """What one study's file says of a scale: its defaults, and what the scale says differs."""
        file, source = self.files[ancestor], self._file(ancestor)
        written = {"defaults": file.defaults, f"scales.{scale}": file.scales.get(scale, {})}
        layers = [Layer(where, data, source) for where, data in written.items()]
        layers = [_named_suites(layer, source) for layer in layers]
        check_overlaid(layers[0], layers[1], source)
        if ancestor == name:
            return layers
        return [
            replace(layer, data={key: value for key, value in layer.data.items() if key not in OWN})
            for layer in layers
        ]

    def _scales(self, lineage: Iterable[str]) -> list[str]:
        """The scales of a study and of those it is `like`."""
        found: dict[str, None] = {}
        for ancestor in lineage:
            for scale in self.files[ancestor].scales:
                if scale not in self.scales:
                    raise ConfigError(
                        f"{self._file(ancestor)}: {dotted('scales', scale)}: `scales` of params.yaml has no "
                        f"such scale{did_you_mean(scale, self.scales)}; add it, with note and throughput"
                    )
                found[scale] = None
        return list(found)

    def _file(self, name: str) -> str:
        """The file of a study's params, as in messages."""
        return str(self.studies[name].params)


def read(path: Path) -> File:
    """A study's params file, its first level checked."""
    return validate(File, [Layer("", load_yaml(path))], source=str(path))


def dataset(name: str, data: Mapping[str, Any], source: str) -> Dataset:
    """A data set as it stands under `datasets` of the file `source`."""
    return validate(Dataset, [_named(Layer(f"datasets.{name}", data), name, source)], source=source)


def check_overlaid(base: Layer, over: Layer, source: str) -> None:
    """ConfigError where a mapping lies over a value that is none, which it would silently replace."""
    for key, value in over.data.items():
        below = base.data.get(key)
        if not isinstance(value, Mapping) or below is None:
            continue
        if not isinstance(below, Mapping):
            raise ConfigError(
                f"{source}: {dotted(base.where, key)} = {describe(below)}: must be a mapping of keys to "
                f"values, as {dotted(over.where, key)} is"
            )
        check_overlaid(base.at(key), over.at(key), source)


def check_known(name: str, known: Iterable[str], where: str) -> None:
    """ConfigError, with what is near, if `name` is none of the `known`."""
    if name not in known:
        raise ConfigError(f"{where}: there is no {name!r}{did_you_mean(name, known)}")


def _scale(
    layers: list[Layer], datasets: Collection[str], runs: Mapping[str, Sequence[str]], source: str
) -> Scale:
    """`runs`: what may be called so -> the names of the runs that are meant."""
    scale = validate(Scale, layers, source=source)
    for key, names, known in (("datasets", scale.datasets, datasets), ("runs", scale.runs, runs)):
        for name in names if names != "all" else ():
            check_known(name, known, place(layers, (key,), source))
    for name in scale.models:
        check_known(name, datasets, place(layers, ("models", name), source))
    for name, analysis in scale.analyses.items():
        for run in analysis.runs:
            check_known(run, runs, place(layers, ("analyses", name, "runs"), source))
    for run in scale.changes:
        check_known(run, runs, place(layers, ("changes", run), source))
    suites = dict[str, Suite]()
    for name, suite in scale.suites.items():
        meant = suite.runs if suite.runs != "all" else ()
        for run in meant:
            check_known(run, runs, place(layers, ("suites", name, "runs"), source))
        named = tuple(dict.fromkeys(each for run in meant for each in runs[run]))
        suites[name] = suite.model_copy(update={"runs": named}) if meant else suite
        unable = [attack.kind for attack in suite.attacks.values() if not attack.respects_any_clip]
        if suite.threat.clip != "image" and unable:
            where = place(layers, ("suites", name, "threat", "clip"), source)
            raise ConfigError(
                f"{where} = {suite.threat.clip!r}: attacks of kind {unable[0]} can respect `image` only; "
                "use that, or attacks of kind pgd"
            )
    return scale.model_copy(update={"suites": suites})


def _named(layer: Layer, name: str, source: str) -> Layer:
    """A layer with the key it stands under as its `name`, which the user therefore must not give."""
    if "name" in layer.data:
        raise ConfigError(f"{source}: {layer.where}.name: unknown key; the name is '{name}' already")
    return replace(layer, data={**layer.data, "name": name})


def _named_suites(layer: Layer, source: str) -> Layer:
    suites = layer.data.get("suites")
    if not isinstance(suites, Mapping):
        return layer  # absent, or for `validate` to say what is wrong
    named = {
        name: _named(Layer(f"{layer.where}.suites.{name}", suite), name, source).data
        if isinstance(suite, Mapping)
        else suite
        for name, suite in suites.items()
    }
    return replace(layer, data={**layer.data, "suites": named})


def _by_name(runs: list[NamedRun], source: str) -> dict[str, NamedRun]:
    named: dict[str, NamedRun] = {}
    for run in runs:
        other = named.setdefault(run.name, run)
        if other is not run:
            raise ConfigError(
                f"{source}: {run.where}: makes a run named '{run.name}', and so does {other.where}; "
                "rename one of them, or leave out a value of the sweep"
            )
    return named
