"""A project of seconds whose network is the documented one, with group norm and no batch norm."""

from pathlib import Path
from typing import Any

import torch
from documented import write_examples

import small_params
from robustfront.data.store import prepare
from robustfront.models.weights import load_weights
from small_project import Project

BUDGET = {
    "epochs": 2,
    "batch_size": 24,
    "optimizer": {"kind": "adam", "lr": 0.02},
    "schedule": {"kind": "constant"},
    "precision": "bf16",
}
SUITE = {
    "threat": {"eps": 0.1},
    "attacks": {
        "pgd": {"kind": "pgd", "steps": 3, "step_size": 0.05},
        "aa": {"kind": "autoattack", "engine": "fast"},
    },
    "samples": {"aa": 8},
}


def own_project(folder: Path, *pages: str, **edits: Any) -> Project:
    """With its data made; `pages` of the documentation, whose first files it reads, beside the network's."""
    files = [write_examples(page, folder)[0].name for page in ("adding-a-network.md", *pages)]
    tree = small_params.tree(
        **{
            "extensions": files,
            "runs": {
                "st": {"method": "standard"},
                "at": {"method": "pgd_at", "init": "st"},
                "npgd": {"method": "npgd", "init": "st", "generator": "pgd", "beta": 1.5},
            },
            "scales/wide": ...,
            "datasets/mnist": ...,
            "datasets/digits/splits": {"train": 600, "validation": 32, "test": 64},
            "defaults/model": {"arch": "group_net", "width": 16},
            "defaults/training": {"standard": BUDGET | {"epochs": 6}, "adversarial": BUDGET},
            "defaults/suites": {"mine": SUITE},
        }
        | edits
    )
    small_params.write(folder, tree)
    project = Project(folder)
    for key, dataset in project.plan.datasets.items():
        prepare(dataset, folder / "raw", project.layout.dataset(key))
    return project


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of a trained run."""
    return load_weights(folder / "model.safetensors")
