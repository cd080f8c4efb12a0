"""params.yaml: its data sets, scales and runs, read and checked. `planning` turns them into a plan."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from robustfront.config.analyses import Analysis
from robustfront.config.layers import Layer, dotted, written_at
from robustfront.config.quantities import Count, Distinct, Name, Positive, ProperFraction, Seed
from robustfront.config.runs import NamedRun, expand
from robustfront.config.schema import Ascent, Config, Dataset, Model, Suite, Threat, Training
from robustfront.config.validation import LISTED, describe, did_you_mean, validate
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ConfigError


class Budgets(Config):
    """How long and how a run is trained; a method says which of the two it needs."""

    standard: Training
    adversarial: Training


class Throughput(Config):
    """What `robustfront plan` reckons with. It changes no result."""

    gflops: Positive = Field(description="useful GFLOP/s of one job")
    jobs: Count = Field(1, description="jobs at a time")


class Scale(Config):
    """How much work: data sets, model, budgets, threat model and evaluation of every run."""

    note: str = Field(description="one line a reader sees beside every number of this scale")
    datasets: Distinct[str]
    seeds: Distinct[Seed] = (0,)
    runs: Literal["all"] | Distinct[str] = Field("all", description="names under `runs`, or a sweep's")
    sweeps: Literal["all", "ends"] = Field(
        "all", description="of the runs that a sweep stands for: all, or the first and the last"
    )
    model: Model
    threat: Threat = Field(description="of training attacks")
    attack: Ascent = Field(description="of training attacks")
    training: Budgets
    suites: dict[Name, Suite] = Field(min_length=1)
    analyses: dict[Name, Analysis] = Field({}, description="computed from trained models, for figures")
    throughput: Throughput


@dataclass(frozen=True)
class Params:
    """params.yaml, checked. `entries`: key under `runs` -> names of its runs, several if it has a sweep."""

    source: str
    scale: str
    scales: dict[str, Scale]
    datasets: dict[str, Dataset]
    runs: dict[str, NamedRun]
    entries: dict[str, list[str]]
    rank_tolerance: float
    extensions: list[Path]


class _Extensions(BaseModel):
    """The one key that listing the methods needs, whatever else is wrong with the file."""

    extensions: tuple[str, ...] = ()


class _File(_Extensions):
    """The keys of params.yaml. Scales, data sets and runs are looked into one by one."""

    model_config = ConfigDict(extra="forbid")

    scale: str
    defaults: dict[str, Any] = Field({}, description="merged into every scale")
    scales: dict[Name, dict[str, Any]]
    datasets: dict[Name, dict[str, Any]]
    runs: dict[Name, dict[str, Any]] = Field(min_length=1)
    rank_tolerance: ProperFraction


def load_params(path: Path) -> Params:
    """params.yaml as `Params`. ConfigError naming key, value and what is allowed."""
    source = str(path)
    file = validate(_File, [Layer("", load_yaml(path))], source=source)
    datasets = {
        name: validate(Dataset, [_named(Layer(f"datasets.{name}", data), name, source)], source=source)
        for name, data in file.datasets.items()
    }
    entries = {name: expand(name, data, source) for name, data in file.runs.items()}
    runs = _by_name([run for variants in entries.values() for run in variants], source)
    names = {entry: [run.name for run in variants] for entry, variants in entries.items()}
    runs = {run.name: run for entry in names for run in _matched_to_starts(entry, names, runs)}
    for run in runs.values():
        _check_init(run, runs, names, source)
    _check_cycles(runs, source)
    scales = {}
    for name, data in file.scales.items():
        layers = [Layer("defaults", file.defaults), Layer(f"scales.{name}", data)]
        layers = [_named_suites(layer, source) for layer in layers]
        _check_overlaid(layers[0], layers[1], source)
        scales[name] = _scale(layers, datasets, {*names, *runs}, source)
    _check_known(file.scale, scales, f"{source}: scale")
    extensions = [path.parent / name for name in file.extensions]
    return Params(source, file.scale, scales, datasets, runs, names, file.rank_tolerance, extensions)


def load_extensions(path: Path) -> list[Path]:
    """The method files that params.yaml names, if there is one; nothing else in it is checked."""
    if not path.exists():
        return []
    file = validate(_Extensions, [Layer("", load_yaml(path))], source=str(path))
    return [path.parent / name for name in file.extensions]


def _scale(layers: list[Layer], datasets: Collection[str], runs: Collection[str], source: str) -> Scale:
    scale = validate(Scale, layers, source=source)
    for key, names, known in (("datasets", scale.datasets, datasets), ("runs", scale.runs, runs)):
        for name in names if names != "all" else ():
            _check_known(name, known, f"{source}: {written_at(layers, (key,))}")
    for name, analysis in scale.analyses.items():
        for run in analysis.runs:
            _check_known(run, runs, f"{source}: {written_at(layers, ('analyses', name, 'runs'))}")
    for name, suite in scale.suites.items():
        kinds = {attack.kind for attack in suite.attacks.values()}
        if suite.threat.clip != "image" and "autoattack" in kinds:
            where = written_at(layers, ("suites", name, "threat", "clip"))
            raise ConfigError(
                f"{source}: {where} = {suite.threat.clip!r}: AutoAttack can respect `image` only; "
                "use that, or attacks of kind pgd"
            )
    return scale


def _check_overlaid(base: Layer, over: Layer, source: str) -> None:
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
        _check_overlaid(base.at(key), over.at(key), source)


def _named(layer: Layer, name: str, source: str) -> Layer:
    """A layer with the key it stands under as its `name`, which the user therefore must not give."""
    if "name" in layer.data:
        raise ConfigError(f"{source}: {layer.where}.name: unknown key; the name is '{name}' already")
    return Layer(layer.where, {**layer.data, "name": name})


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
    return Layer(layer.where, {**layer.data, "suites": named})


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


def _check_known(name: str, known: Iterable[str], where: str) -> None:
    if name not in known:
        raise ConfigError(f"{where}: there is no {name!r}{did_you_mean(name, known)}")


def _matched_to_starts(
    entry: str, names: Mapping[str, list[str]], runs: Mapping[str, NamedRun]
) -> Iterator[NamedRun]:
    """The runs of an entry. An `init` that is a sweep means its run of the same values."""
    for name in names[entry]:
        run, start = runs[name], runs[name].entry.init
        match = f"{start}{name.removeprefix(entry)}"
        if start not in runs and match in names.get(start or "", []):
            run = replace(run, entry=run.entry.model_copy(update={"init": match}))
        yield run


def _check_init(run: NamedRun, runs: Collection[str], entries: Mapping[str, list[str]], source: str) -> None:
    init = run.entry.init
    if init is None or init in runs:
        return
    where = f"{source}: {written_at(run.layers, ('init',))}"
    if init in entries:
        raise ConfigError(
            f"{where}: '{init}' is a sweep; start from one of its runs{did_you_mean('', entries[init])}"
        )
    raise ConfigError(f"{where}: there is no run {init!r}{did_you_mean(init, runs)}")


def _check_cycles(runs: Mapping[str, NamedRun], source: str) -> None:
    settled: set[str] = set()
    for start in runs:
        chain: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in settled:
            if name in chain:
                cycle = [*list(chain)[list(chain).index(name) :], name]
                shown = cycle if len(cycle) <= LISTED else [*cycle[: LISTED - 1], "...", name]
                where = written_at(runs[name].layers, ("init",))
                raise ConfigError(f"{source}: {where}: the runs {' -> '.join(shown)} start from each other")
            chain[name] = None
            name = runs[name].entry.init
        settled.update(chain)
