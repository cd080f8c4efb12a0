"""The runs of a scale before they are given a data set and a seed: method, parameters, model and budget."""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from robustfront.config.layers import Layer, written_at
from robustfront.config.params import Params, Scale
from robustfront.config.runs import NamedRun, RunEntry
from robustfront.config.schema import Config, Model, Training
from robustfront.config.validation import did_you_mean, validate
from robustfront.errors import ConfigError
from robustfront.methods import Registry
from robustfront.methods.base import Entry

M = TypeVar("M", bound=Config)


@dataclass(frozen=True)
class Recipe:
    """A run of a scale. `init` names another recipe; `wanted`: listed by the scale, not only as an `init`."""

    name: str
    wanted: bool
    method: Entry
    params: Config
    model: Model
    training: Training
    init: str | None

    @property
    def label(self) -> str:
        """The readable part of the run's id: only what is safe in a path and as a Snakemake wildcard."""
        return re.sub(r"[^A-Za-z0-9._-]+", "", self.method.label(self.params))[:80]


def recipes(params: Params, scale_name: str, methods: Registry) -> dict[str, Recipe]:
    """The runs of a scale and those they start from, which come first. ConfigError if one cannot be run."""
    scale = params.scales[scale_name]
    resolver = _Resolver(params.source, f"scales.{scale_name}", scale, methods)
    listed = params.entries if scale.runs == "all" else scale.runs
    swept = (_narrowed(params.entries.get(name, [name]), scale) for name in listed)
    wanted = dict.fromkeys(itertools.chain.from_iterable(swept))
    found: dict[str, Recipe] = {}
    for name in wanted:
        for ancestor in reversed(list(_lineage(name, params.runs, found))):
            run = params.runs[ancestor]
            parent = found[run.entry.init] if run.entry.init is not None else None
            found[ancestor] = resolver.resolve(run, ancestor in wanted, parent)
    return found


def _narrowed(runs: list[str], scale: Scale) -> list[str]:
    """Of the runs of one entry, those that the scale's `sweeps` leaves."""
    return runs if scale.sweeps == "all" else [runs[0], runs[-1]]


def _lineage(name: str | None, runs: Mapping[str, NamedRun], found: Collection[str]) -> Iterator[str]:
    """The run, the one it starts from, and so on, as far as they are not found yet."""
    while name is not None and name not in found:
        yield name
        name = runs[name].entry.init


class _Resolver:
    """Fills in what runs leave to their scale, which stands under the key `where` of the file `source`."""

    def __init__(self, source: str, where: str, scale: Scale, methods: Registry) -> None:
        self.source, self.where, self.scale, self.methods = source, where, scale, methods
        self.attacking = scale.model_dump(include={"threat", "attack"})

    def resolve(self, run: NamedRun, wanted: bool, parent: Recipe | None) -> Recipe:
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
            wanted=wanted,
            method=entry,
            params=validate(entry.method.Params, layers, source=self.source, known=RunEntry.model_fields),
            model=self._model(run),
            training=self._overridden(
                getattr(self.scale.training, entry.method.budget), "training", run, f".{entry.method.budget}"
            ),
            init=run.entry.init,
        )
        if parent is not None and parent.model.model_copy(update={"pretrained": None}) != recipe.model:
            raise self._error(
                run, "model", f"differs from that of '{parent.name}', which the run starts from"
            )
        return recipe

    def _model(self, run: NamedRun) -> Model:
        """The run's network; `pretrained` is for runs that start from no other."""
        model = self._overridden(self.scale.model, "model", run)
        return model if run.entry.init is None else model.model_copy(update={"pretrained": None})

    def _overridden(self, base: M, key: str, run: NamedRun, part: str = "") -> M:
        """The scale's `key` with what the run says differs."""
        layers = [layer.at(key) for layer in run.layers]
        if not any(layer.data for layer in layers):
            return base
        scale = Layer(f"{self.where}.{key}{part}", base.model_dump())
        return validate(type(base), [scale, *layers], source=self.source)

    def _error(self, run: NamedRun, key: str, problem: str) -> ConfigError:
        return ConfigError(f"{self.source}: {written_at(run.layers, (key,))}: {problem}")
