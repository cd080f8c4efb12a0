"""A small finished project on disk: a fake plan and synthetic artefacts, as in docs/architecture.md."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_records import record

from robustfront.analysis import records
from robustfront.artefacts import Layout, write_json, write_text
from robustfront.config.schema import (
    SGD,
    Ascent,
    AutoAttackEvaluation,
    CosineSchedule,
    Dataset,
    Normalisation,
    PGDEvaluation,
    PreActResNet,
    Run,
    Splits,
    Suite,
    Threat,
    Training,
    Validation,
)
from robustfront.evaluation import outcomes
from robustfront.reporting.rendering import write_table
from robustfront.reporting.results import Plan, PlannedAnalysis
from robustfront.reporting.sections import PAPER
from robustfront.reporting.tables import NPAT_TABLE1, reproduce

EPOCHS = 6
TEST_IMAGES = 400
CLASSES = 10
Errors = dict[str, tuple[int, int, int]]
"""Suite name -> misclassified test images: clean, PGD, AutoAttack."""


@dataclass(frozen=True)
class FakeRun:
    id: str
    names: tuple[str, ...]
    config: Run
    dataset_id: str


@dataclass
class FakePlan:
    scale: str
    note: str
    datasets: dict[str, Dataset]
    suites: dict[str, Suite]
    runs: dict[str, FakeRun] = field(default_factory=dict)
    analyses: dict[str, PlannedAnalysis] = field(default_factory=dict)

    def find(self, name: str, dataset_id: str) -> list[FakeRun]:
        return [run for run in self.runs.values() if name in run.names and run.dataset_id == dataset_id]


@dataclass
class FakeProject:
    plan: FakePlan
    layout: Layout
    reports: Path

    def add(self, name: str, errors: Errors, *, seed: int = 0, masked: str = "") -> str:
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
            method=name, params={}, dataset=dataset, model=PreActResNet(), training=training, seed=seed
        )
        self.plan.runs[run_id] = FakeRun(run_id, (name,), config, dataset_id)
        _write_artefacts(self.plan, self.layout, run_id, errors, masked=masked)
        return run_id

    def finish(self) -> None:
        """What the notebooks leave in `reports`: Table 1, and stand-ins for the rest."""
        for stem in ["training_overview", *(f"training/{run}" for run in self.plan.runs)]:
            for suffix in ("svg", "png"):
                write_text(self.reports / "figures" / f"{stem}.{suffix}", "a figure")
        for file in (file for section in PAPER for file in section.files):
            write_text(self.reports / file, f"<p>{file}</p>")
        table = reproduce(NPAT_TABLE1, self.plan, self.layout)
        write_table(table, self.reports / "tables" / "npat_table1", NPAT_TABLE1)
        write_text(self.reports / "notebooks" / "npat_table1.html", "<p>executed</p>")


def _write_artefacts(plan: Plan, layout: Layout, run_id: str, errors: Errors, *, masked: str = "") -> None:
    """What training and evaluation leave of a run."""
    run = plan.runs[run_id]
    history = _history(projected=run.config.method.startswith("npda"))
    write_text(layout.run(run_id) / "history.csv", history.to_csv(index=False))
    write_json(layout.run(run_id) / "manifest.json", _manifest(run_id, run.config.seed, run.names[0]))
    for suite_id, suite in plan.suites.items():
        content = _evaluation(suite, errors[suite.name], failed=suite.name == masked) | {"run": run_id}
        outcomes.save(_rows(suite, errors[suite.name]), content, layout.evaluation(run_id, suite_id))
    for analysis in plan.analyses.values():
        if run_id in analysis.runs:
            records.save(record(analysis.config.kind, run_id), layout.analysis(run_id, analysis.id))


def _rows(suite: Suite, errors: tuple[int, int, int]) -> pd.DataFrame:
    """A row per image and attack; the images that fall are the first so many, whatever the model."""
    samples = np.arange(TEST_IMAGES)
    attacks = [
        pd.DataFrame(
            {
                "sample": samples,
                "attack": attack,
                "label": samples % CLASSES,
                "prediction": (samples + (samples < wrong)) % CLASSES,
                "loss": np.float32(1.0),
                "success": samples < wrong,
                "carried": False,
            }
        )
        for attack, wrong in zip(["clean", *suite.attacks], errors, strict=True)
    ]
    return pd.concat(attacks)


def _history(*, projected: bool) -> pd.DataFrame:
    epochs = np.arange(1, EPOCHS + 1)
    return pd.DataFrame(
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


def _manifest(run_id: str, seed: int, name: str) -> dict[str, object]:
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
        "deviations": ["weights <from scratch> & not ImageNet"] if name == "st" else [],
        "selected_epoch": 5,
    }


def _evaluation(suite: Suite, errors: tuple[int, int, int], *, failed: bool) -> dict[str, object]:
    names = ["clean", *suite.attacks, "worst-case"]
    return {
        "suite": suite.model_dump(mode="json"),
        "attacks": {
            name: {
                "n": TEST_IMAGES,
                "errors": wrong,
                "error": wrong / TEST_IMAGES,
                "low": max(0.0, wrong / TEST_IMAGES - 0.04),
                "high": min(1.0, wrong / TEST_IMAGES + 0.05),
            }
            for name, wrong in zip(names, [*errors, max(errors)], strict=True)
        },
        "masking": [
            {"check": "AutoAttack not above PGD", "passed": not failed, "detail": "40 <of> 400 & more"},
            {"check": "input gradients not zero", "passed": True, "detail": "no gradient at 0 of 256 images"},
        ],
        "seconds": 12.5,
        "device": "cpu",
        "versions": {},
    }


@pytest.fixture
def write_artefacts() -> Callable[..., None]:
    """Writes what training and evaluation leave of a run, from (plan, layout, run id, errors)."""
    return _write_artefacts


@pytest.fixture
def empty_project(tmp_path: Path) -> FakeProject:
    """A plan with one data set, two suites and no runs."""
    dataset = Dataset(
        name="digits",
        source="digits",
        splits=Splits(validation=200, test=TEST_IMAGES),
        normalisation=Normalisation(mean=(0.5,), std=(0.25,)),
        published_as="CIFAR10",
    )
    attacks = {
        "pgd-20": PGDEvaluation(steps=20, step_size=2 / 255),
        "autoattack": AutoAttackEvaluation(version="standard"),
    }
    suites = [
        Suite(name="paper-space", threat=Threat(eps=8 / 255, space="normalised"), attacks=attacks),
        Suite(name="pixel-space", threat=Threat(eps=8 / 255), attacks=attacks),
    ]
    plan = FakePlan(
        "digits",
        "small real images & a small network",
        {"digits-11112222": dataset},
        {f"{suite.name}-99": suite for suite in suites},
    )
    layout = Layout(results=tmp_path / "results")
    stored = {
        "images_per_class": {"train": [600, 597], "validation": [100, 100], "test": [200, 200]},
        "test_part": "train",
    }
    write_json(layout.dataset("digits-11112222") / "manifest.json", stored)
    return FakeProject(plan, layout, tmp_path / "reports")


@pytest.fixture
def finished(empty_project: FakeProject) -> FakeProject:
    """`st` (masked in pixel space), `pgd-at` with three seeds, and `npda-pgd`; the other rows did not run."""
    empty_project.add(
        "st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)}, masked="pixel-space"
    )
    for seed, wrong in enumerate([(40, 100, 120), (44, 108, 124), (48, 116, 128)]):
        empty_project.add("pgd-at", {"paper-space": wrong, "pixel-space": wrong}, seed=seed)
    empty_project.add("npda-pgd", {"paper-space": (24, 160, 168), "pixel-space": (24, 240, 250)})
    return empty_project
