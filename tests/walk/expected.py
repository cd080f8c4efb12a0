"""What should be there for a params.yaml, computed from its text alone: no planner, ids, files or engines.

Understands the part of params.yaml that the walk edits. Things are named by hashes of what decides them, as
in `stand_in`.
"""

import copy
import json
from dataclasses import dataclass
from typing import Any

from stand_in import errors, token

Key = tuple[str, ...]
"""A job as the stand-in notes it: verb and what it was about."""


@dataclass(frozen=True)
class Expected:
    """The jobs that a file needs, their dependencies, and the lines of every table."""

    jobs: dict[Key, set[Key]]
    lines: tuple[str, ...]
    report: str

    def todo(self, there: set[Key]) -> set[Key]:
        """The jobs to do where `there` is done; a projector only if something that needs it is to be done."""
        wanted = {job for job in self.jobs if job not in there and job[0] != "projector"}
        needed = set().union(*(self.jobs[job] for job in wanted))
        return wanted | {job for job in needed - there if job[0] == "projector"}


def expect(params: dict[str, Any]) -> Expected:
    (scale,) = params["scales"].values()
    (dataset,) = params["datasets"].values()
    splits = {"train": None, "test_limit": None, "seed": 0} | dataset["splits"]
    images = token("images", dataset["source"], splits)
    jobs: dict[Key, set[Key]] = {("data", images): set()}
    suites = {
        key: token("suite", key, suite["threat"]["eps"], suite["threat"]["space"])
        for key, suite in scale["suites"].items()
    }
    lines = []
    models: dict[tuple[str, int], str] = {}
    for seed in scale["seeds"]:
        for run in _ordered(params["runs"]):
            entry = params["runs"][run]
            model, needs = _model(entry, seed, scale, images, models, params["rank_tolerance"])
            models[run, seed] = model
            for job in needs:
                jobs.setdefault(job, set())
            jobs[("train", model)] = needs
            for key, suite in suites.items():
                jobs[("evaluate", model, suite)] = set()
                lines.append(f"{run},{seed},{key},{errors(model, suite)}\n")
    for analysis in scale["analyses"].values():
        for run in analysis["runs"]:
            model, start = models[run, scale["seeds"][0]], params["runs"][run].get("init")
            needs: set[Key] = set()
            if analysis["kind"] == "null-space":
                needs = {_projector(models[start, scale["seeds"][0]], params["rank_tolerance"])}
            for job in needs:
                jobs.setdefault(job, set())
            jobs[("analyse", model, token("analysis", analysis["kind"], analysis["images"]))] = needs
    return Expected(jobs, tuple(sorted(lines)), _report(params))


def _model(
    entry: dict[str, Any],
    seed: int,
    scale: dict[str, Any],
    images: str,
    models: dict[tuple[str, int], str],
    tolerance: float,
) -> tuple[str, set[Key]]:
    """The run's weights, and the projector it needs."""
    method, start = entry["method"], models[entry["init"], seed] if "init" in entry else None
    plain = method in ("standard", "walker")
    projectors = {_projector(start, tolerance)} if method in ("npgd", "npda") and start else set()
    defaults = {"loss": "ce"} if plain else {}
    facts = {name: (defaults | entry).get(name) for name in ("loss", "beta", "generator")}
    steps = None if plain else scale["attack"]["steps"]
    epochs = scale["training"]["standard" if plain else "adversarial"]["epochs"]
    inputs = [images, *([start] if start else []), *(job[1] for job in projectors)]
    return token(method, facts, steps, epochs, seed, *inputs), projectors


def _projector(model: str, tolerance: float) -> Key:
    return ("projector", token("projector", model, tolerance))


def _ordered(runs: dict[str, Any]) -> list[str]:
    """Parents first."""
    return sorted(runs, key=lambda name: _depth(name, runs))


def _depth(name: str, runs: dict[str, Any]) -> int:
    start = runs[name].get("init")
    return 0 if start is None else 1 + _depth(start, runs)


def _report(params: dict[str, Any]) -> str:
    """What a report shows of the file: all of it but the throughput, in its order."""
    shown = copy.deepcopy(params)
    for scale in shown["scales"].values():
        del scale["throughput"]
    return json.dumps(shown)
