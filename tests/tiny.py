"""The numbers of a project of one study that runs in seconds, as the tree that `study_files` writes."""

import copy
from typing import Any

RUNS = {
    "st": {"method": "standard", "loss": "ce"},
    "pgd-at": {"method": "pgd_at", "init": "st"},
    "npgd-pgd": {"method": "npgd", "init": "st", "generator": "pgd", "beta": 1.5},
}


def tiny_params() -> dict[str, Any]:
    """Three runs on real digits, seconds in all; the same keys as the project's own files."""
    ascent = {"steps": 2, "step_size": 0.1}
    threat = {"norm": "linf", "eps": 0.2, "space": "normalised"}
    budget = {
        "epochs": 2,
        "batch_size": 128,
        "optimizer": {"lr": 0.05},
        "schedule": {"kind": "cosine"},
    }
    judged = {"validation": {"threat": threat, "attack": ascent}}
    attacks = {"pgd-20": {"kind": "pgd", "steps": 3, "step_size": 0.1}, "autoattack": {"kind": "autoattack"}}
    return {
        "scale": "tiny",
        "rank_tolerance": 1.0e-5,
        "runs": copy.deepcopy(RUNS),
        "datasets": {
            "digits": {
                "source": "digits",
                "splits": {"validation": 100, "test": 100},
                "normalisation": {"mean": [0.3], "std": [0.38]},
            }
        },
        "scales": {
            "tiny": {
                "note": "a test",
                "datasets": ["digits"],
                "model": {"depth": 10, "width": 8},  # below 8, oneDNN of torch 2.15 overruns its memory here
                "threat": threat,
                "attack": ascent | {"start": "gaussian"},
                "training": {"standard": budget, "adversarial": budget | judged},
                "suites": {
                    "paper-space": {
                        "threat": threat,
                        "attacks": attacks,
                        "samples": {"autoattack": 4},
                        "masking": False,
                    },
                    "pixel-space": {
                        "threat": threat | {"space": "pixel", "eps": 0.9},
                        "attacks": {"pgd-20": attacks["pgd-20"]},  # AutoAttack takes most of the time
                        "masking": False,
                    },
                },
                "analyses": {
                    "landscape": {"kind": "landscape", "runs": ["st"], "images": 2, "points": 3, "span": 0.1},
                    "null-space": {
                        "kind": "null-space",
                        "runs": ["npgd-pgd"],
                        "images": 20,
                        "threat": threat,
                        "attack": ascent,
                    },
                },
                "throughput": {"gflops": 10},
            }
        },
    }
