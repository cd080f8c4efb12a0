"""A study on disk as a user writes one: a folder with its params; and synthetic results of its plan."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustfront.artefacts import Layout, write_json, write_text
from robustfront.checksums import write_record
from robustfront.config.evaluations import FINAL, Evaluation, of_suite
from robustfront.evaluation.outcomes import Evaluated, save
from robustfront.planning import load_plan
from robustfront.planning.study import PlannedRun, StudyPlan
from study_files import split

NAME = "mine"
EPOCHS, TEST_IMAGES, CLASSES = 4, 200, 10
PGD = {"kind": "pgd", "steps": 5, "step_size": 0.06}
SUITE = {"threat": {"eps": 0.25}, "attacks": {"pgd": PGD, "strong": {"kind": "autoattack"}}}
TRAINING = {
    "epochs": EPOCHS,
    "batch_size": 64,
    "optimizer": {"lr": 0.1},
    "schedule": {"kind": "cosine"},
}
TREE: dict[str, Any] = {
    "scale": "tiny",
    "rank_tolerance": 1e-5,
    "runs": {"st": {"method": "standard", "loss": "ce"}, "pgd-at": {"method": "pgd_at", "init": "st"}},
    "datasets": {
        "digits": {
            "source": "digits",
            "splits": {"validation": 200, "test": TEST_IMAGES},
            "normalisation": {"mean": [0.3], "std": [0.4]},
        }
    },
    "scales": {
        "tiny": {
            "note": "a test & no more",
            "throughput": {"gflops": 1},
            "datasets": ["digits"],
            "model": {"depth": 10, "width": 8},
            "threat": {"eps": 0.3, "space": "normalised"},
            "attack": {"steps": 3, "step_size": 0.1},
            "training": {"standard": TRAINING, "adversarial": TRAINING},
            "suites": {"near": SUITE},
        }
    },
}


def tree(**edits: Any) -> dict[str, Any]:
    """The numbers with `edits`: key with `/` between levels -> value; None takes the key out."""
    content = copy.deepcopy(TREE)
    for key, value in edits.items():
        *parents, last = key.split("/")
        place = content
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return content


@dataclass
class StudyProject:
    """`folder` is the project's; the study's own is `folder`/mine."""

    folder: Path

    @property
    def params(self) -> Path:
        return self.folder / "params.yaml"

    @property
    def study(self) -> Path:
        return self.folder / NAME

    @property
    def layout(self) -> Layout:
        return Layout(self.folder / "results", self.folder / "checkpoints")

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def page(self) -> Path:
        return self.reports / NAME

    @property
    def plan(self) -> StudyPlan:
        return load_plan(self.params).studies[NAME]

    def write(self, **edits: Any) -> None:
        """Both params files, with edits."""
        shared, own = split(tree(**edits))
        write_text(self.params, json.dumps(shared | {"studies": [NAME]}))
        write_text(self.study / "params.yaml", json.dumps(own))

    def facts(self, **facts: Any) -> None:
        write_text(self.study / "study.yaml", json.dumps({"title": "A study of mine"} | facts))

    def finish(self, *, only: int | None = None, wrong: float = 0.3) -> None:
        """Results of all runs of the plan, or of the first so many. `wrong`: share of images that fall."""
        plan = self.plan
        for dataset in plan.datasets:
            counts = {"train": [700, 697], "validation": [100, 100], "test": [100, 100]}
            stored = {"images_per_class": counts, "test_part": "train"}
            write_json(self.layout.dataset(dataset) / "manifest.json", stored)
        for run in list(plan.runs.values())[:only]:
            self.train(run)
            self.evaluate(run, wrong=wrong)

    def train(self, run: PlannedRun, *, slope: float = 1.0) -> None:
        """What a training leaves for reports. `slope`: how quickly it learns."""
        place = self.layout.run(run.id)
        write_text(place / "history.csv", _history(slope).to_csv(index=False))
        write_record(place / "manifest.json", _manifest(run), [place / "history.csv"])

    def evaluate(self, run: PlannedRun, *, wrong: float = 0.3, masked: bool = False) -> None:
        """What its evaluation leaves. `masked`: a check for gradient masking failed."""
        plan = self.plan
        for name, suite in plan.suites.items():
            for position, (key, evaluation) in enumerate(of_suite(suite).items()):
                share = 0.05 if key == "clean" else wrong + 0.02 * position
                stem = self.layout.evaluation(run.id, plan.evaluation_id(run.id, name, key))
                save(_evaluated(run.id, evaluation, share, masked=masked), stem)

    def fail(self, run: PlannedRun, state: str, message: str, verb: str = "train") -> None:
        failure = {"verb": verb, "state": state, "message": message}
        write_json(self.layout.run(run.id) / "failure.json", failure)


def _evaluated(run_id: str, evaluation: Evaluation, share: float, *, masked: bool) -> Evaluated:
    about = {
        "run": run_id,
        "evaluation": evaluation.model_dump(mode="json"),
        "seconds": 12.5,
        "device": "cpu",
    }
    about |= {"versions": {}, "outcomes": {}, "made_from": {}}
    if evaluation.attack.kind == "masking":
        checks = [
            {"check": "steps help", "passed": not masked, "detail": "40 <of> 400 & more"},
            {"check": "gradients not zero", "passed": True, "detail": "no gradient at 0 images"},
        ]
        checks = [check | {"images": 128} for check in checks]
        return Evaluated(None, None, about | {"masking": checks})
    samples = np.arange(min(evaluation.samples or TEST_IMAGES, TEST_IMAGES))
    fallen = samples < round(share * len(samples))
    rows = {
        "sample": samples,
        "outcome": FINAL,
        "label": samples % CLASSES,
        "prediction": (samples + fallen) % CLASSES,
        "loss": np.float32(1.0),
        "success": fallen,
        "carried": False,
    }
    error = float(fallen.mean())
    rate = {
        "n": len(samples),
        "errors": int(fallen.sum()),
        "error": error,
        "low": error / 2,
        "high": 2 * error,
    }
    return Evaluated(pd.DataFrame(rows), None, about | {"outcomes": {FINAL: rate}})


def _history(slope: float) -> pd.DataFrame:
    epochs = np.arange(1, EPOCHS + 1)
    start = {"epoch": 0, "validation_clean_loss": 2.3, "validation_clean_accuracy": 0.1}
    trained = pd.DataFrame(
        {
            "epoch": epochs,
            "lr": 0.1 / epochs,
            "train_loss": 2.2 / (slope * epochs),
            "train_clean_accuracy": 1 - 0.7 / (slope * epochs),
            "validation_clean_loss": 2.3 / (slope * epochs),
            "validation_clean_accuracy": 1 - 0.72 / (slope * epochs),
        }
    )
    return pd.concat([pd.DataFrame([start], columns=trained.columns), trained], ignore_index=True)


def _manifest(run: PlannedRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "config": run.config.model_dump(mode="json"),
        "robustfront": "0.1.0",
        "commit": "0123456789ab",
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "device": "an imaginary processor, 2 thread(s)",
        "seconds": 62.0,
        "validation_seconds": 12.0,
        "images_per_second": 1912.5,
        "peak_memory_bytes": 512 * 2**20,
        "started": "2025-01-02T03:04:05+00:00",
        "finished": "2025-01-02T03:05:07+00:00",
        "seed": run.config.seed,
        "initial_weights": "from scratch, seed 0",
        "selected_epoch": 3,
    }
