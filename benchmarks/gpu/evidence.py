"""What a few epochs at full width come to: S000's main methods on CIFAR-10, by the commands users have.

A small project is written into a folder: a standard model, PGD-AT, TRADES, NPDA and NPGD from it, as many
epochs as the time allows by the seconds that a step of each is seen to take, and their accuracy under PGD-20
and AutoAttack in both spaces. What can be reported later, seeds added, is kept in `evidence.tar.gz`.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu import speed
from benchmarks.gpu.journal import Journal
from benchmarks.workload import Workload
from robustfront import attacks
from robustfront.artefacts import Layout
from robustfront.cli import cli
from robustfront.config.evaluations import views
from robustfront.evaluation import outcomes
from robustfront.planning import Plan, PlannedRun, load_plan

METHODS = {
    "st": ("standard", {}),
    "pgd-at": ("pgd_at", {"init": "st"}),
    "trades": ("trades", {"init": "st", "beta": 1.5}),
    "npda-pgd": ("npda", {"init": "st", "generator": "pgd", "beta": 1.5}),
    "npgd-pgd": ("npgd", {"init": "st", "generator": "pgd", "beta": 1.5}),
}
KEPT = ("history.csv", "manifest.json", "config.yaml", "eval")


@dataclass(frozen=True)
class Budget:
    """What the time is spent on. `reserve`: seconds for the evaluations; `attacked`: images of AutoAttack."""

    steps: int
    batch: int
    reserve: float
    attacked: int


def gather(journal: Journal, work: Workload, images: Path, folder: Path, kept: Path, budget: Budget) -> None:
    """Plans, trains, attacks, and writes the table; each part is a step of the journal.

    The project is written into `folder`, and after each step what can be reported later into the file `kept`.
    """
    epochs: dict[str, int] = {}

    def plan_epochs() -> Sequence[str]:
        found = {name: _epoch(work, name, budget) for name in METHODS}
        left = journal.left - budget.reserve
        epochs["standard"] = max(1, int(0.12 * left / found["st"]))
        robust = sum(seconds for name, seconds in found.items() if name != "st")
        epochs["adversarial"] = max(1, int((left - epochs["standard"] * found["st"]) * 0.9 / robust))
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.items())
        return [
            f"an epoch of {len(work.labels):,} images in batches of {budget.batch} takes: {times}",
            f"epochs: {epochs['standard']} of st, {epochs['adversarial']} of the others",
        ]

    journal.step("epochs that there is time for", plan_epochs)
    if not epochs:
        return
    params = write_project(folder, work, images, epochs, budget)
    plan, layout = load_plan(params), Layout(folder / "results", folder / "checkpoints")
    run = partial(_run, params, layout)
    device = ["--device", str(journal.device)]
    journal.step("data", lambda: run("data", *plan.datasets))
    for name, planned in _named(plan).items():
        journal.step(f"training {name}", partial(run, "train", planned.id, *device))
        keep(layout, kept)
        for projector in plan.projectors.values():
            if projector.run_id == planned.id:
                journal.step("projector", partial(run, "projector", projector.id))
    for name, planned in _named(plan).items():
        journal.step(f"attacking {name}", partial(run, "evaluate", planned.id, *device))
        keep(layout, kept)
    journal.table(table(plan, layout))


def write_project(
    folder: Path, work: Workload, images: Path, epochs: Mapping[str, int], budget: Budget
) -> Path:
    """params.yaml and the study's file, as JSON, which is YAML too."""
    count = len(work.labels)
    mean, std = (value.flatten().tolist() for value in (work.network.mean, work.network.std))
    ascent = {"steps": budget.steps, "step_size": "2/255"}
    shared = {
        "scale": "evidence",
        "extensions": [],
        "rank_tolerance": 1e-5,
        "studies": ["evidence.yaml"],
        "scales": {"evidence": {"note": "a few epochs on one GPU", "throughput": {"gflops": 50000}}},
        "datasets": {
            "cifar10": {
                "source": "npz",
                "path": str(images.resolve()),
                "splits": {"validation": min(1000, count // 10), "test": "official", "seed": 0},
                "normalisation": {"mean": mean, "std": std},
                "augmentation": {"pad": 4, "flip": True},
            }
        },
    }
    common = {
        "batch_size": budget.batch,
        "precision": "bf16",
        "schedule": {"kind": "one-cycle"},
        "select": "last",
    }
    training = {
        "standard": common | {"epochs": epochs["standard"], "optimizer": {"lr": 0.1, "weight_decay": 5e-4}},
        "adversarial": common
        | {
            "epochs": epochs["adversarial"],
            "optimizer": {"lr": 0.05, "weight_decay": 5e-4},
            "validation": {
                "every": 1,
                "threat": {"eps": "8/255", "space": "normalised"},
                "attack": ascent | {"start": "uniform"},
            },
        },
    }
    attacked = {
        "attacks": {
            "pgd-20": {"kind": "pgd", "steps": 2 * budget.steps, "step_size": "2/255", "start": "uniform"},
            "autoattack": {"kind": "autoattack", "engine": "fast-bf16"},
        },
        "samples": {"autoattack": budget.attacked},
        "masking": False,
    }
    study = {
        "runs": {name: {"method": method, **given} for name, (method, given) in METHODS.items()},
        "defaults": {
            "model": work.config.model_dump(mode="json"),
            "threat": {"eps": "10/255", "space": "normalised"},
            "attack": ascent | {"start": "gaussian", "start_std": 0.001},
            "training": training,
            "suites": {
                "paper-space": {"threat": {"eps": "8/255", "space": "normalised"}, **attacked},
                "pixel-space": {"threat": {"eps": "8/255", "space": "pixel"}, **attacked},
            },
        },
        "scales": {"evidence": {"datasets": ["cifar10"]}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("params.yaml", shared), ("evidence.yaml", study)):
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return folder / "params.yaml"


def table(plan: Plan, layout: Layout) -> list[list[str]]:
    """Accuracy in per cent with its Wilson interval over images, of what was attacked."""
    (study,) = plan.studies.values()
    rows: list[list[str]] = []
    for run_name, planned in _named(plan).items():
        cells: dict[str, str] = {}
        for suite in study.suites.values():
            for shown, (name, outcome) in views(suite).items():
                stem = layout.evaluation(planned.id, study.evaluation_id(planned.id, suite.name, name))
                title = shown if shown == "clean" else f"{shown}, {suite.name}"
                if stem.with_suffix(".json").is_file():
                    found = outcomes.record(stem)["outcomes"][outcome]
                    low, high = (100 * (1 - found[bound]) for bound in ("high", "low"))
                    cells[title] = f"{100 * (1 - found['error']):.1f} ({low:.1f}-{high:.1f}; n={found['n']})"
                else:
                    cells[title] = "not reached"
        rows = rows or [["accuracy, %", *cells]]
        rows.append([run_name, *cells.values()])
    return rows


def keep(layout: Layout, path: Path) -> None:
    """Histories, manifests, configs and per-image outcomes of all runs."""
    with tarfile.open(path, "w:gz") as archive:
        for folder in sorted(layout.results.glob("runs/*")):
            for name in KEPT:
                if (folder / name).exists():
                    archive.add(folder / name, f"runs/{folder.name}/{name}")


def _named(plan: Plan) -> dict[str, PlannedRun]:
    """The runs by the names above, parents first."""
    return {name: run for run in plan.runs.values() for name in METHODS if run.is_called(name)}


def _run(params: Path, layout: Layout, verb: str, *words: str) -> Sequence[str]:
    """A verb of the command, in this process: a start of its own would cost seconds of the GPU's time."""
    attacks.release_stand_ins()
    cli(["--params", str(params), "--results", str(layout.results), verb, *words], standalone_mode=False)
    return []


def _epoch(work: Workload, name: str, budget: Budget) -> float:
    """Seconds of an epoch, by some steps."""
    method, given = METHODS[name]
    part = work.part(budget.batch)
    params: dict[str, Any] = {key: value for key, value in given.items() if key != "init"}
    step: Callable[[], None] = part.training_step(method, precision="bf16", steps=budget.steps, **params)
    seconds = speed.seconds_of(step, work.device, 3)
    attacks.release_stand_ins()
    return seconds * len(work.labels) / budget.batch
