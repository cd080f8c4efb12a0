"""A small finished study on disk: a plan without params files, and synthetic artefacts.

The study is NPAT with another plan; `studied` gives it a folder of files of its own.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

import robustfront
from robustfront.analysis import records
from robustfront.artefacts import Layout, write_json, write_text
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.datasets.digits import Digits
from robustfront.config.evaluations import FINAL, MASKING, Suite, of_suite
from robustfront.config.experiment import Scale
from robustfront.config.images import Normalisation, Splits
from robustfront.config.networks import PreActResNet
from robustfront.config.optimizers.sgd import SGD
from robustfront.config.schedules.cosine import CosineSchedule
from robustfront.config.schema import Ascent, Dataset, Run, Threat, Training, Validation
from robustfront.config.studies import Facts, Study
from robustfront.evaluation import outcomes
from robustfront.evaluation.outcomes import Evaluated
from robustfront.planning.study import PlannedRun, StudyPlan
from robustfront.reporting.results import Results
from synthetic_records import record

EPOCHS = 6
TEST_IMAGES = 400
CLASSES = 10
Errors = dict[str, Sequence[int]]
"""Suite name -> misclassified test images: clean, then each attack of the suite."""

NPAT = Path(robustfront.__file__).parent / "studies" / "npat"
FACTS = Facts(
    title="NPAT, reproduced", datasets={"CIFAR10": ("digits",), "SVHN": ("svhn",)}, threat="8/255, they say"
)


@dataclass
class FinishedStudy:
    plan: StudyPlan
    layout: Layout
    reports: Path

    @property
    def results(self) -> Results:
        """As they are on disk now."""
        return Results(self.plan, self.layout)

    def studied(self, folder: Path | None, **facts: Any) -> None:
        """Makes it a study whose files lie in `folder`."""
        self.plan.study = dataclasses.replace(
            self.plan.study, name="mine", folder=folder, facts=FACTS.model_copy(update=facts)
        )

    def attacked(self, *suites: Suite) -> None:
        """Gives the study other suites; to be called before runs are added."""
        self.plan = planned(self.plan.study, self.plan.datasets, suites)

    def add(
        self, name: str, errors: Errors, *, seed: int = 0, masked: str = "", method: str = "", **params: Any
    ) -> str:
        """A finished run on the first data set, whose masking checks failed in the suite `masked`."""
        (dataset_id, dataset), *_ = self.plan.datasets.items()
        run_id = f"{dataset.name}-{name}-s{seed}-0a1b2c3d"
        judged = Validation(attack=Ascent(steps=1, step_size=0.1), threat=Threat(eps=0.1, space="normalised"))
        training = Training(
            epochs=EPOCHS,
            batch_size=64,
            optimizer=SGD(lr=0.1),
            schedule=CosineSchedule(),
            validation=judged,
        )
        config = Run(
            method=method or name,
            params=params,
            dataset=dataset,
            model=PreActResNet(),
            training=training,
            seed=seed,
        )
        self.plan.runs[run_id] = PlannedRun(run_id, config, dataset_id, [name])
        write_artefacts(self.plan, self.layout, run_id, errors, masked=masked)
        return run_id

    def evaluation(self, run_id: str, suite: str, name: str) -> Path:
        """The record of an evaluation."""
        stem = self.layout.evaluation(run_id, self.plan.evaluation_id(run_id, suite, name))
        return stem.with_name(f"{stem.name}.json")


def planned(study: Study, datasets: dict[str, Dataset], suites: Sequence[Suite]) -> StudyPlan:
    """A plan without runs, whose scale says nothing but the suites."""
    settings = cast(Scale, SimpleNamespace(suites={suite.name: suite for suite in suites}))
    return StudyPlan(study, "digits", "small real images & a small network", settings, datasets)


def write_artefacts(
    plan: StudyPlan, layout: Layout, run_id: str, errors: Errors, *, masked: str = ""
) -> None:
    """What training and evaluation leave of a run."""
    run = plan.runs[run_id]
    history = _history(projected=run.config.method.startswith("npda"))
    write_text(layout.run(run_id) / "history.csv", history.to_csv(index=False))
    write_json(layout.run(run_id) / "manifest.json", _manifest(run_id, run.config.seed))
    for suite in plan.suites.values():
        counts = dict(zip(["clean", *suite.attacks], errors[suite.name], strict=False))
        for name in of_suite(suite):
            found = masking(failed=suite.name == masked) if name == MASKING else _evaluated(counts[name])
            save(found, run_id, layout.evaluation(run_id, plan.evaluation_id(run_id, suite.name, name)))
    for analysis in plan.analyses.values():
        if run_id in analysis.runs:
            records.save(record(analysis.config.kind, run_id), layout.analysis(run_id, analysis.id))


def save(found: Evaluated, run_id: str, stem: Path) -> None:
    found.record["run"] = run_id
    outcomes.save(found, stem)


def _evaluated(wrong: int) -> Evaluated:
    """The images that fall are the first so many, whatever the model and the attack."""
    samples = np.arange(TEST_IMAGES)
    rows = pd.DataFrame(
        {
            "sample": samples,
            "outcome": FINAL,
            "label": samples % CLASSES,
            "prediction": (samples + (samples < wrong)) % CLASSES,
            "loss": np.float32(1.0),
            "success": samples < wrong,
            "carried": False,
        }
    )
    rate = {
        "n": TEST_IMAGES,
        "errors": wrong,
        "error": wrong / TEST_IMAGES,
        "low": max(0.0, wrong / TEST_IMAGES - 0.04),
        "high": min(1.0, wrong / TEST_IMAGES + 0.05),
    }
    return Evaluated(rows, None, {"outcomes": {FINAL: rate}, "seconds": 12.5, "device": "cpu"})


def masking(*, failed: bool = False, images: int = 128) -> Evaluated:
    """Two checks, of which the first may have failed."""
    checks = [
        {"check": "more steps not weaker", "passed": not failed, "detail": "40 <of> 400 & more"},
        {"check": "input gradients not zero", "passed": True, "detail": "no gradient at 0 images"},
    ]
    checks = [check | {"images": images} for check in checks]
    return Evaluated(None, None, {"masking": checks, "seconds": 2.5, "device": "cpu"})


def _history(*, projected: bool) -> pd.DataFrame:
    epochs = np.arange(1, EPOCHS + 1)
    start = {
        "epoch": 0,
        "validation_clean_loss": 2.3,
        "validation_clean_accuracy": 0.1,
        "validation_adversarial_loss": 2.9,
        "validation_adversarial_accuracy": 0.05,
    }
    trained = pd.DataFrame(
        {
            "epoch": epochs,
            "lr": 0.1 * (1 + np.cos(np.pi * epochs / EPOCHS)) / 2,
            "train_loss": 2.2 / epochs,
            "train_clean_loss": 1.4 / epochs,
            "train_kl": 0.8 / epochs,
            "train_clean_accuracy": 1 - 0.7 / epochs,
            "train_adversarial_accuracy": 1 - 0.8 / epochs,
            "validation_clean_loss": 2.3 / epochs,
            "validation_clean_accuracy": 1 - 0.72 / epochs,
            "validation_adversarial_loss": 2.9 / epochs,
            "validation_adversarial_accuracy": np.where(epochs % 2 == 0, 1 - 0.85 / epochs, np.nan),
            "projected_gradient_norm": 1e-4 * epochs if projected else np.nan,
            "projected_gradient_share": 1e-3 * epochs if projected else np.nan,
            "head_offset_in_row_space": np.nan,
        }
    )
    return pd.concat([pd.DataFrame([start], columns=trained.columns), trained], ignore_index=True)


def _manifest(run_id: str, seed: int) -> dict[str, object]:
    return {
        "run": run_id,
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
        "seed": seed,
        "initial_weights": "from scratch, seed 0",
        "selected_epoch": 5,
    }


@pytest.fixture
def empty_project(tmp_path: Path) -> FinishedStudy:
    """A study with one data set, two suites and no runs."""
    dataset = Digits(
        name="digits",
        source="digits",
        splits=Splits(validation=200, test=TEST_IMAGES),
        normalisation=Normalisation(mean=(0.5,), std=(0.25,)),
    )
    attacks = {
        "pgd-20": PGDEvaluation(steps=20, step_size=2 / 255),
        "autoattack": AutoAttackEvaluation(version="standard"),
    }
    suites = [
        Suite(name="paper-space", threat=Threat(eps=8 / 255, space="normalised"), attacks=attacks),
        Suite(name="pixel-space", threat=Threat(eps=8 / 255), attacks=attacks),
    ]
    study = Study("npat", tmp_path / "params" / "npat.yaml", NPAT, FACTS)
    layout = Layout(results=tmp_path / "results")
    return FinishedStudy(planned(study, {"digits-11112222": dataset}, suites), layout, tmp_path / "reports")


@pytest.fixture
def finished(empty_project: FinishedStudy) -> FinishedStudy:
    """`st` (masked in pixel space), `pgd-at` with three seeds, and `npda-pgd`; the other rows did not run."""
    empty_project.add(
        "st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)}, masked="pixel-space"
    )
    for seed, wrong in enumerate([(40, 100, 120), (44, 108, 124), (48, 116, 128)]):
        empty_project.add("pgd-at", {"paper-space": wrong, "pixel-space": wrong}, seed=seed)
    empty_project.add("npda-pgd", {"paper-space": (24, 160, 168), "pixel-space": (24, 240, 250)})
    return empty_project
