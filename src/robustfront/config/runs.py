"""The entries of `runs:` in a study's params, with the runs that each `sweep` among them stands for."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from robustfront.config.layers import Layer, merge
from robustfront.config.quantities import Distinct
from robustfront.config.schema import Config
from robustfront.config.validation import describe, validate
from robustfront.errors import ConfigError

MOST_RUNS = 10_000
"""Of one sweep. More are a mistake, and would take long to plan."""


class RunEntry(Config):
    """What a run says; every other key of it belongs to the method."""

    model_config = ConfigDict(extra="allow")

    method: str
    init: str | None = None
    model: dict[str, Any] = Field({}, description="what differs from the scale's model")
    training: dict[str, Any] = Field({}, description="what differs from the scale's budget")
    datasets: Literal["all"] | Distinct[str] = Field(
        "all", description="of those of the scale; the run is made on these alone"
    )
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {}, description="key of this run -> its values; a dot leads into a mapping: `attack.steps: [5, 10]`"
    )


@dataclass(frozen=True)
class NamedRun:
    """A single run: its name, its entry, and the layers of the file that the entry was merged from."""

    name: str
    entry: RunEntry
    layers: tuple[Layer, ...]

    @property
    def where(self) -> str:
        """Its key in the file."""
        return self.layers[0].where

    def changed(self, at: str, data: Mapping[str, Any], source: str) -> "NamedRun":
        """The run with what stands at the key `at` of the file laid over its entry."""
        if {"init", "method", "sweep"} & data.keys():
            raise ConfigError(
                f"{source}: {at}: method, init and sweep are the same at all scales; make another run"
            )
        layers = (*self.layers, Layer(at, data))
        changed = validate(RunEntry, layers, source=source)
        return NamedRun(self.name, changed.model_copy(update={"init": self.entry.init}), layers)

    def of_method(self) -> list[Layer]:
        """The keys that belong to the method."""
        own = RunEntry.model_fields
        return [
            replace(layer, data={key: value for key, value in layer.data.items() if key not in own})
            for layer in self.layers
        ]


def expand(name: str, data: Mapping[str, Any], source: str) -> list[NamedRun]:
    """The runs of one entry: itself, or one per combination of its `sweep`, named `<run>-<value>-...`."""
    where = f"runs.{name}"
    entry = validate(RunEntry, [Layer(where, data)], source=source)
    base = Layer(where, {key: value for key, value in data.items() if key != "sweep"})
    if not entry.sweep:
        return [NamedRun(name, entry, (base,))]
    _check_sweep(entry.sweep, f"{source}: {where}.sweep")
    runs = []
    for values in itertools.product(*entry.sweep.values()):
        chosen: dict[str, Any] = {}
        for key, value in zip(entry.sweep, values, strict=True):
            chosen = merge(chosen, _nested(key.split("."), value))
        layers = (base, Layer(f"{where}.sweep", chosen, written_in=True))
        swept = validate(RunEntry, layers, source=source)
        runs.append(NamedRun("-".join([name, *map(_word, values)]), swept, layers))
    return runs


def matched_to_starts(
    entry: str, names: Mapping[str, list[str]], runs: Mapping[str, NamedRun]
) -> Iterator[NamedRun]:
    """The runs of an entry. An `init` that is a sweep means its run of the same values."""
    for name in names[entry]:
        run, start = runs[name], runs[name].entry.init
        match = f"{start}{name.removeprefix(entry)}"
        if start not in runs and match in names.get(start or "", []):
            run = replace(run, entry=run.entry.model_copy(update={"init": match}))
        yield run


def _check_sweep(sweep: Mapping[str, list[Any]], where: str) -> None:
    for key, values in sweep.items():
        if key.split(".")[0] == "sweep":
            raise ConfigError(f"{where}.{key}: a sweep cannot vary itself; remove it")
        if any(isinstance(value, (dict, list)) for value in values):
            raise ConfigError(
                f"{where}.{key}: the values of a sweep are numbers or words; to vary one inside a mapping, "
                "write its key with a dot, such as `attack.steps: [5, 10]`"
            )
    count = math.prod(map(len, sweep.values()))
    if count > MOST_RUNS:
        raise ConfigError(f"{where}: stands for {count} runs; at most {MOST_RUNS} are allowed")


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    """{a: {b: value}} of [a, b]."""
    for key in reversed(keys):
        value = {key: value}
    return value


def _word(value: Any) -> str:
    """A swept value as a part of a name."""
    text = value if isinstance(value, str) else describe(value)
    if isinstance(value, float):
        text = f"{value:.12g}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.replace("+", ""))
