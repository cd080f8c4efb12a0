"""A small valid project of one study as a tree, edits of it, and the files that hold it."""

import copy
from pathlib import Path
from typing import Any

from robustfront.errors import ConfigError
from robustfront.planning import StudyPlan, load_plan
from study_files import STUDY, Tree, write

__all__ = ["Tree", "complaint", "full_complaint", "study_plan", "tree", "write"]

_BUDGET = {
    "epochs": 2,
    "batch_size": 16,
    "optimizer": {"lr": 0.1},
    "schedule": {"kind": "step", "milestones": [0.5]},
}
_ATTACK = {"steps": 3, "step_size": "2/255"}
_TREE: Tree = {
    "scale": "tiny",
    "extensions": [],
    "rank_tolerance": 1e-5,
    "runs": {
        "st": {"method": "standard", "loss": "ce"},
        "lse": {"method": "standard", "loss": "lse"},
        "at": {"method": "pgd_at", "init": "st"},
        "trades": {"method": "trades", "init": "st", "beta": 1.5},
        "npgd": {"method": "npgd", "init": "st", "generator": "pgd", "beta": 1.5},
        "npda": {"method": "npda", "init": "st", "generator": "trades", "beta": 1.5},
    },
    "datasets": {
        "digits": {
            "source": "digits",
            "splits": {"validation": 200, "test": 400},
            "normalisation": {"mean": [0.3], "std": [0.4]},
        },
        "mnist": {
            "source": "mnist",
            "splits": {"validation": 5000, "test": "official"},
            "normalisation": {"mean": [0.1], "std": [0.3]},
        },
    },
    "defaults": {
        "model": {"depth": 10, "width": 4},
        "threat": {"eps": "8/255", "space": "normalised"},
        "attack": _ATTACK,
        "training": {"standard": _BUDGET, "adversarial": copy.deepcopy(_BUDGET)},
        "suites": {
            "pixel": {
                "threat": {"eps": 0.1},
                "attacks": {"pgd": {"kind": "pgd"} | _ATTACK, "aa": {"kind": "autoattack"}},
                "samples": {"aa": 10},
            }
        },
    },
    "scales": {
        "tiny": {"note": "a test", "throughput": {"gflops": 10}, "datasets": ["digits"]},
        "wide": {
            "note": "another",
            "throughput": {"gflops": 10},
            "datasets": ["digits", "mnist"],
            "seeds": [0, 1],
            "model": {"width": 8},
        },
    },
}


def tree(**edits: Any) -> Tree:
    """A fresh copy with `edits`: key with `/` between levels -> value, `...` to delete it."""
    fresh = copy.deepcopy(_TREE)
    for key, value in edits.items():
        *parents, last = key.split("/")
        place: Any = fresh
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[last]
        else:
            place[last] = copy.deepcopy(value)
    return fresh


def study_plan(path: Path, scale: str | None = None) -> StudyPlan:
    """The plan of the study alone, in which its runs have the names that it gives them."""
    return load_plan(path, scale).studies[STUDY]


def complaint(path: Path) -> str:
    """What is wrong with params.yaml or its study's file, without the file's name before each line."""
    full = full_complaint(path)
    return full.replace(f"{path}: ", "").replace(f"{path.parent / 'params' / STUDY}.yaml: ", "")


def full_complaint(path: Path) -> str:
    """What is wrong with params.yaml or a study's file."""
    try:
        load_plan(path)
    except ConfigError as error:
        return str(error)
    raise AssertionError("the files were accepted")
