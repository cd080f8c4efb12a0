"""A project of seconds on disk: digits, a trained standard model, its projector."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

import small_params
from robustfront.artefacts import Layout
from robustfront.data.store import prepare
from robustfront.evaluation.session import evaluate_run
from robustfront.methods import methods
from robustfront.models import nullspace, weights
from robustfront.planning import Plan, PlannedRun, load_plan
from robustfront.training import session

BUDGET = {
    "epochs": 2,
    "batch_size": 24,
    "optimizer": {"lr": 0.05, "weight_decay": 1e-3},
    "schedule": {"kind": "one-cycle"},
}
ADVERSARIAL = BUDGET | {
    "ema": 0.9,
    "validation": {"threat": {"eps": 0.2}, "attack": {"steps": 2, "step_size": 0.1}},
}
LONG = {"epochs": 20}  # a second or two, so that a signal sent after the first epoch finds it training


@dataclass
class Project:
    """A folder with params.yaml, its study, results and checkpoints."""

    folder: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.folder / "results", self.folder / "checkpoints")

    @cached_property
    def plan(self) -> Plan:
        return load_plan(self.folder / "params.yaml")

    def run(self, name: str) -> PlannedRun:
        (found,) = (run for run in self.plan.runs.values() if run.is_called(name))
        return found

    def prepare(self) -> None:
        """Makes the data set."""
        (dataset_id,) = self.plan.datasets
        prepare(self.plan.datasets[dataset_id], self.folder / "raw", self.layout.dataset(dataset_id))

    def evaluate(self, name: str) -> None:
        """Makes all evaluations that are wanted of a trained run."""
        run = self.run(name)
        evaluate_run(run, self.plan.evaluations[run.id], self.plan.index(run.id), self.layout, "cpu")

    def train(self, name: str) -> Path:
        """Trains a run and returns its folder."""
        planned = self.run(name)
        arithmetic = planned.config.training.precision  # whatever is faster here
        session.train(planned, methods, self.layout, torch.device("cpu"), arithmetic=arithmetic)
        return self.layout.run(self.run(name).id)


def params() -> small_params.Tree:
    tree = small_params.tree(
        **{
            "datasets/digits/splits": {"train": 72, "validation": 32, "test": 32},
            "datasets/digits/augmentation": {"pad": 1},
            "defaults/model": {"depth": 10, "width": 2},
            "defaults/threat": {"eps": 0.3, "space": "normalised"},
            "defaults/attack": {"steps": 2, "step_size": 0.2, "start": "gaussian"},
            "defaults/training": {"standard": BUDGET, "adversarial": ADVERSARIAL},
        }
    )
    tree["defaults"]["suites"]["quick"] = {
        "threat": {"eps": 0.1},
        "attacks": {"pgd": {"kind": "pgd", "steps": 3, "step_size": 0.05, "start": "uniform"}},
        "batch_size": 16,
        "masking": False,
    }
    tree["runs"]["npgd-long"] = tree["runs"]["npgd"] | {"training": LONG}
    tree["runs"]["frl"] = {"method": "frl", "init": "st", "beta": 1.5}
    tree["runs"]["npda-long"] = tree["runs"]["npda"] | {"training": LONG}
    return tree


def build(folder: Path) -> Project:
    """The project with its data, its standard model and the projector made."""
    project = Project(folder)
    small_params.write(folder, params())
    project.prepare()
    model = project.train("st") / "model.safetensors"
    (projector,) = project.plan.projectors.values()
    head = weights.load_weights(model)["head.weight"]
    nullspace.compute(head, projector.rank_tolerance).save(project.layout.projector(projector.id))
    return project
