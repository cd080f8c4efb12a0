"""What should be there for a params.yaml, computed from its text alone: no planner, ids, files or engines.

Understands the part of params.yaml that the walk edits. Things are named by hashes of what decides them, as
in `stand_in`.
"""

import copy
import itertools
import json
from dataclasses import dataclass
from typing import Any

from stand_in import errors, token

Key = tuple[str, ...]
"""A job as the stand-in notes it: verb and what it was about."""


@dataclass(frozen=True)
class Expected:
    """The jobs that the files need, their dependencies, what the tables say, and what each report is of.

    `lines`: (study, run, seed, suite, attack, errors).
    """

    jobs: dict[Key, set[Key]]
    lines: frozenset[tuple[Any, ...]]
    reports: dict[str, str]

    def todo(self, there: set[Key]) -> set[Key]:
        """The jobs to do where `there` is done."""
        return self.jobs.keys() - there


def expect(params: dict[str, Any]) -> Expected:
    (scale,) = params["scales"].values()
    (dataset,) = params["datasets"].values()
    splits = {"rule": "stratified", "train": None, "held_out": "last", "test_limit": None, "seed": 0}
    splits |= dataset["splits"]
    images = token("images", dataset["source"], splits)
    jobs: dict[Key, set[Key]] = {("data", images): set()}
    lines = []
    models: dict[tuple[str, int], str] = {}
    for study, runs in studies(params).items():
        for seed, run in itertools.product(scale["seeds"], _ordered(runs)):
            entry = runs[run]
            if isinstance(entry, str):  # another study's
                model = models[entry, seed]
            else:
                model, needs = _model(entry, seed, scale, images, models, params["rank_tolerance"], study)
                jobs |= {job: set() for job in needs if job not in jobs}
                jobs[("train", model)] = needs
            models[f"{study}/{run}", seed] = model
            for key, suite in scale["suites"].items():
                shown = _attacks(suite)
                jobs |= {("evaluate", model, attacked): set() for attacked in shown.values()}
                counts = {name: errors(model, of) for name, of in shown.items() if name != "masking"}
                lines += [(study, run, seed, key, name, count) for name, count in counts.items()]
    for analysis in scale["analyses"].values():
        for run in analysis["runs"]:
            model = models[f"small/{run}", scale["seeds"][0]]
            needs: set[Key] = set()
            if analysis["kind"] == "null-space":
                start = models[f"small/{params['runs'][run]['init']}", scale["seeds"][0]]
                needs = {_projector(start, params["rank_tolerance"])}
            for job in needs:
                jobs.setdefault(job, set())
            jobs[("analyse", model, token("analysis", analysis["kind"], analysis["images"]))] = needs
    return Expected(jobs, frozenset(lines), {study: _report(params, study) for study in studies(params)})


def studies(params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Study -> its runs: `small`, and `extra` if there is one, which is like it."""
    found = {"small": params["runs"]}
    return found | ({"extra": params["extra"]["runs"]} if params.get("extra") else {})


def _attacks(suite: dict[str, Any]) -> dict[str, str]:
    """What a suite shows -> what stands for it."""
    where = suite["threat"]["eps"], suite["threat"]["space"]
    found = {"clean": token("attack", "clean", None, None)}
    found |= {name: token("attack", attack["kind"], *where) for name, attack in suite["attacks"].items()}
    return found | ({"masking": token("attack", "masking", *where)} if suite["masking"] else {})


def _model(
    entry: dict[str, Any],
    seed: int,
    scale: dict[str, Any],
    images: str,
    models: dict[tuple[str, int], str],
    tolerance: float,
    study: str,
) -> tuple[str, set[Key]]:
    """The run's weights, and the projector it needs."""
    init = entry.get("init")
    start = models[init if "/" in init else f"{study}/{init}", seed] if init else None
    method = entry["method"]
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
    start = None if isinstance(runs[name], str) else runs[name].get("init")
    return 0 if start not in runs else 1 + _depth(start, runs)


def _report(params: dict[str, Any], study: str) -> str:
    """What the report of a study shows of the files: all but the throughput, and of runs those it has."""
    shown = copy.deepcopy(params)
    for scale in shown["scales"].values():
        del scale["throughput"]
        if study == "extra":
            del scale["analyses"]
    if study == "extra":
        del shown["rank_tolerance"]  # it has no projector
    extra = shown.pop("extra", None)
    if study == "extra":
        shown["runs"] = {"st": shown["runs"]["st"], "extra": extra}
    return json.dumps(shown)
