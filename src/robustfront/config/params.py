"""The shape of params.yaml: data sets, scales, runs. The file is read and checked here; `planning` turns it into runs."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from robustfront.config.quantities import Count, Positive
from robustfront.config.schema import Ascent, Config, Dataset, Model, Suite, Threat, Training
from robustfront.config.validation import did_you_mean, validate
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
    datasets: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    runs: Literal["all"] | tuple[str, ...] = "all"
    model: Model
    threat: Threat = Field(description="of training attacks")
    attack: Ascent = Field(description="of training attacks")
    training: Budgets
    suites: dict[str, dict[str, Any]] = Field(min_length=1)
    throughput: Throughput


class RunEntry(Config):
    """One line of `runs:`; every other key of it belongs to the method."""

    method: str
    init: str | None = None
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}
    sweep: dict[str, list[Any]] = {}
    params: dict[str, Any] = {}


class Params(Config):
    """params.yaml, checked."""

    scale: str
    scales: dict[str, Scale]
    datasets: dict[str, Dataset]
    runs: dict[str, RunEntry]
    rank_tolerance: Positive
    extensions: tuple[str, ...] = ()
    source: str = "params.yaml"


def load_params(path: Path) -> Params:
    """params.yaml as `Params`. ConfigError naming key, value and what is allowed."""
    source = str(path)
    data = load_yaml(path)
    defaults = _mapping_at(data.pop("defaults", {}), "defaults", source)
    scales = _mapping_at(data.get("scales"), "scales", source)
    datasets = _mapping_at(data.get("datasets"), "datasets", source)
    runs = _mapping_at(data.get("runs"), "runs", source)
    data["scales"] = {
        name: merge(defaults, _mapping_at(scale, f"scales.{name}", source)) for name, scale in scales.items()
    }
    data["datasets"] = {
        name: {"name": name} | _mapping_at(entry, f"datasets.{name}", source)
        for name, entry in datasets.items()
    }
    data["runs"] = {
        name: _gather_params(_mapping_at(entry, f"runs.{name}", source)) for name, entry in runs.items()
    }
    params = validate(Params, data | {"source": source}, source=source)
    _check_names(params)
    return params


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; mappings are merged key by key, anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_mappings else value
    return merged


def suites(scale: Scale, *, source: str, scale_name: str) -> list[Suite]:
    """The scale's evaluation suites, in the order they are written."""
    found = []
    for name, entry in scale.suites.items():
        suite = validate(
            Suite, {"name": name} | entry, source=source, where=f"scales.{scale_name}.suites.{name}"
        )
        for attack in suite.samples:
            if attack not in suite.attacks:
                where = f"scales.{scale_name}.suites.{name}.samples"
                raise ConfigError(
                    f"{source}: {where}: unknown attack '{attack}'{did_you_mean(attack, suite.attacks)}"
                )
        found.append(suite)
    return found


def _gather_params(entry: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in entry.items() if key in RunEntry.model_fields and key != "params"}
    rest = {key: value for key, value in entry.items() if key not in own}
    return own | {"params": rest}


def _mapping_at(value: Any, where: str, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: {where}: expected a mapping of keys to values, found {value!r}")
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"{source}: {where}: key {key!r} must be a word; put it in quotes")
    return value


def _check_names(params: Params) -> None:
    def known(name: str, names: Any, where: str) -> None:
        if name not in names:
            raise ConfigError(f"{params.source}: {where}: there is no '{name}'{did_you_mean(name, names)}")

    known(params.scale, params.scales, "scale")
    for scale_name, scale in params.scales.items():
        for dataset in scale.datasets:
            known(dataset, params.datasets, f"scales.{scale_name}.datasets")
        for run in scale.runs if scale.runs != "all" else ():
            known(run, params.runs, f"scales.{scale_name}.runs")
    for run_name, run in params.runs.items():
        if run.init is not None:
            known(run.init, params.runs, f"runs.{run_name}.init")
