"""A small finished project on disk: a fake plan and synthetic artefacts, in the formats of docs/architecture.md."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustfront.artefacts import Layout, write_json, write_text
from robustfront.config.schema import (
    SGD,
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
)

EPOCHS = 6
TEST_IMAGES = 400


@dataclass(frozen=True)
class FakeRun:
    id: str
    names: tuple[str, ...]
    config: Run
    dataset_id: str
    parents: tuple[str, ...] = ()


@dataclass
class FakePlan:
    scale: str
    note: str
    datasets: dict[str, Dataset]
    suites: dict[str, Suite]
    runs: dict[str, FakeRun] = field(default_factory=dict)

    def find(self, name: str, dataset_id: str) -> list[FakeRun]:
        return [run for run in self.runs.values() if name in run.names and run.dataset_id == dataset_id]


@dataclass
class FakeProject:
    plan: FakePlan
    layout: Layout
    reports: Path

    def add(self, name: str, errors: dict[str, tuple[int, int, int]], *, seed: int = 0, masked: str = "") -> str:
        """A finished run. `errors`: suite name -> wrong test images (clean, PGD, AutoAttack)."""
        (dataset_id, dataset), *_ = self.plan.datasets.items()
        run_id = f"digits-{name}-s{seed}-0a1b2c3d"
        training = Training(epochs=EPOCHS, batch_size=64, optimizer=SGD(lr=0.1), schedule=CosineSchedule())
        config = Run(
            method=name.split("-")[0], params={}, dataset=dataset, model=PreActResNet(), training=training, seed=seed
        )
        self.plan.runs[run_id] = FakeRun(run_id, (name,), config, dataset_id)
        self._history(run_id, projected=name.startswith("npda"))
        self._manifest(run_id, name, seed)
        for suite_id, suite in self.plan.suites.items():
            self._evaluation(run_id, suite_id, suite, errors[suite.name], failed=masked == suite.name)
        return run_id

    def _history(self, run_id: str, *, projected: bool) -> None:
        epochs = np.arange(1, EPOCHS + 1)
        table = pd.DataFrame(
            {
                "epoch": epochs,
                "lr": 0.1 * (1 + np.cos(np.pi * epochs / EPOCHS)) / 2,
                "seconds": 1.5,
                "images_per_second": 900.0,
                "train_loss": 2.2 / epochs,
                "train_clean_loss": 1.4 / epochs,
                "train_kl": 0.8 / epochs,
                "train_clean_accuracy": 1 - 0.7 / epochs,
                "train_adversarial_accuracy": 1 - 0.8 / epochs,
                "validation_clean_loss": 2.3 / epochs,
                "validation_clean_accuracy": 1 - 0.72 / epochs,
                "validation_adversarial_loss": 2.9 / epochs,
                "validation_adversarial_accuracy": 1 - 0.85 / epochs,
                "projected_gradient_norm": 1e-3 * epochs if projected else np.nan,
                "head_offset_in_row_space": np.nan,
            }
        )
        write_text(self.layout.run(run_id) / "history.csv", table.to_csv(index=False))

    def _manifest(self, run_id: str, name: str, seed: int) -> None:
        content = {
            "run": run_id,
            "name": name,
            "robustfront": "0.1.0",
            "commit": "0123456789abcdef",
            "versions": {"python": "3.11.7", "torch": "2.15.0"},
            "device": "cpu (2 threads)",
            "seconds": 62.0,
            "images_per_second": 912.5,
            "peak_memory_bytes": 512 * 2**20,
            "started": "2025-01-02T03:04:05+00:00",
            "finished": "2025-01-02T03:05:07+00:00",
            "seed": seed,
            "dataset": {"id": "digits-11112222", "checksum": "c0ffee"},
            "initial_weights": "from scratch",
            "deviations": ["ImageNet weights could not be had: <trained> from scratch"] if name == "st" else [],
            "selected_epoch": 5,
        }
        write_json(self.layout.run(run_id) / "manifest.json", content)

    def _evaluation(
        self, run_id: str, suite_id: str, suite: Suite, errors: tuple[int, int, int], *, failed: bool
    ) -> None:
        names = ["clean", *suite.attacks, "worst-case"]
        attacks = {
            name: {
                "n": TEST_IMAGES,
                "errors": wrong,
                "error": wrong / TEST_IMAGES,
                "low": max(0, wrong / TEST_IMAGES - 0.04),
                "high": min(1, wrong / TEST_IMAGES + 0.05),
            }
            for name, wrong in zip(names, [*errors, max(errors)], strict=True)
        }
        masking = [
            {"check": "autoattack-not-weaker", "passed": not failed, "detail": "AutoAttack 40.0 %, PGD-20 39.0 %"},
            {"check": "gradients-not-zero", "passed": True, "detail": "0 of 400 gradients are zero"},
        ]
        content = {"run": run_id, "suite": suite.model_dump(mode="json"), "attacks": attacks, "masking": masking}
        path = self.layout.evaluation(run_id, suite_id)
        write_json(path.with_name(path.name + ".json"), content | {"seconds": 12.5, "device": "cpu", "versions": {}})


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
        Suite(name="normalised", threat=Threat(eps=8 / 255, space="normalised"), attacks=attacks),
        Suite(name="pixel", threat=Threat(eps=8 / 255), attacks=attacks),
    ]
    plan = FakePlan("digits", "small real images, minutes on a laptop", {"digits-11112222": dataset}, {f"{suite.name}-99": suite for suite in suites})
    return FakeProject(plan, Layout(results=tmp_path / "results"), tmp_path / "reports")


@pytest.fixture
def project_on_disk(empty_project: FakeProject) -> FakeProject:
    """`st` (masked in pixel space), `pgd-at` with three seeds, and `npda-pgd`; the other rows did not run."""
    empty_project.add("st", {"normalised": (20, 380, 384), "pixel": (20, 396, 400)}, masked="pixel")
    for seed, wrong in enumerate([(40, 100, 120), (44, 108, 124), (48, 116, 128)]):
        empty_project.add("pgd-at", {"normalised": wrong, "pixel": wrong}, seed=seed)
    empty_project.add("npda-pgd", {"normalised": (24, 160, 168), "pixel": (24, 240, 250)})
    return empty_project
