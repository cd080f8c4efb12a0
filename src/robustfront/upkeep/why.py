"""`robustfront why RUN`: one sentence on why a run will, or will not, be done again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robustfront.artefacts import Layout
from robustfront.config.identity import restored
from robustfront.config.schema import Run
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ArtefactError, ConfigError
from robustfront.methods import Methods
from robustfront.planning import Plan, PlannedRun
from robustfront.planning.files import TRAINED, is_trained
from robustfront.upkeep import inventory

SHOWN = 4
"""Differences that a sentence lists."""


def why(plan: Plan, layout: Layout, name: str) -> list[str]:
    """A sentence per run with that id or name (one per data set and seed), or about an orphan with that id.

    ConfigError if there is no such run.
    """
    if name not in plan.runs and layout.run(name).is_dir() and is_trained(layout, name):
        return [f"{name}: will not be redone: scale '{plan.scale}' does not ask for it"]
    found = [plan.runs[run] for run in inventory.pick_runs(plan, name)]
    several = len({tuple(run.names) for run in found}) > 1  # studies that call different runs the same
    return [
        f"{run.id}{f' ({_called(run)})' if several else ''}: {_reason(plan, layout, run)}" for run in found
    ]


def _reason(plan: Plan, layout: Layout, run: PlannedRun) -> str:
    lacking = [name for name in TRAINED if not (layout.run(run.id) / name).is_file()]
    if not lacking:
        return _finished(plan, layout, run)
    init = run.config.init
    start = ""
    if init and not is_trained(layout, init):
        start = f"; its start {_called(plan.runs[init])} is not trained either"
    if (layout.checkpoint(run.id) / "checkpoint.safetensors").is_file():
        return f"will be trained on from its checkpoint in {layout.checkpoint(run.id)}{start}"
    if len(lacking) < len(TRAINED):
        return f"will be trained again: {' and '.join(lacking)} of {layout.run(run.id)} is missing{start}"
    others = {key: config for key in _trained(layout) if (config := _config(layout, key, plan.methods))}
    near = _nearest(_flat(run), others)
    return f"will be trained: {near or 'no trained run is like it'}{start}"


def _called(run: PlannedRun) -> str:
    return " = ".join(run.names) or run.id


def _finished(plan: Plan, layout: Layout, run: PlannedRun) -> str:
    todo = [
        item
        for item in inventory.missing(plan, layout)
        if item.kind in ("evaluation", "analysis") and item.id.split()[0] == run.id
    ]
    if todo:
        names = ", ".join(f"{item.kind} {item.id.split()[1]}" for item in todo)
        return f"is trained and stays so; {names} will be made"
    if sources := inventory.stale(plan, layout).get(run.id):
        return (
            f"will not be redone: it is finished, though by other code (sources {sources[0]}, now "
            f"{sources[1]}); `robustfront prune --stale --yes` makes the next `snakemake` train it again"
        )
    parts = dict.fromkeys(inventory.stale_parts(plan, layout), "by other code")
    outdated = inventory.outdated(layout.results, inventory.records(layout.results))
    parts |= {path: f"from another {', '.join(inputs)}" for path, inputs in outdated.items()}
    for path, how in parts.items():
        if {run.id, run.dataset_id} & {*path.parts}:
            return (
                f"will not be redone unasked, but {path} was made {how}; `robustfront prune --stale --yes` "
                "makes the next `snakemake` make it anew"
            )
    return "will not be redone: it is finished, and its id is the hash of its config"


def _nearest(wanted: dict[str, Any], others: Mapping[str, dict[str, Any]]) -> str | None:
    """The run of `others` on the same data that differs least, and in what: from it to `wanted`."""
    alike = {
        key: config for key, config in others.items() if config["dataset.name"] == wanted["dataset.name"]
    }
    if not alike:
        return None

    def distance(key: str) -> tuple[bool, int, str]:
        return alike[key]["method"] != wanted["method"], len(_differences(alike[key], wanted)), key

    nearest = min(alike, key=distance)
    found = _differences(alike[nearest], wanted)
    listed = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    return f"{listed} makes a new id; the nearest one is {nearest}"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`beta 1.5 -> 2` per key; the projector follows from the start and is left out."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key) and key != "projector"]
    return [f"{key.removeprefix('params.')} {_shown(old.get(key))} -> {_shown(new.get(key))}" for key in keys]


def _shown(value: Any) -> str:
    return (
        value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else json.dumps(value)
    )


def _flat(run: PlannedRun) -> dict[str, Any]:
    return _flattened(run.config.model_dump(mode="json"))


def _flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        nested = isinstance(item, Mapping) and item
        found |= _flattened(item, f"{prefix}{key}.") if nested else {f"{prefix}{key}": item}
    return found


def _trained(layout: Layout) -> list[str]:
    folder: Path = layout.results / "runs"
    return sorted(path.name for path in folder.glob("*") if is_trained(layout, path.name))


def _config(layout: Layout, run_id: str, methods: Methods) -> dict[str, Any]:
    """Of a trained run, from its manifest or, if that lacks it, config.yaml; {} if neither helps."""
    folder = layout.run(run_id)
    try:
        config = inventory.read_facts(folder / "manifest.json").get("config")
        run = restored(Run, config or load_yaml(folder / "config.yaml")["run"])
        params = restored(methods[run.method].method.Params, run.params)
    except (ArtefactError, ConfigError, KeyError, ValidationError):
        return {}
    return _flattened(run.model_dump(mode="json") | {"params": params.model_dump(mode="json")})
