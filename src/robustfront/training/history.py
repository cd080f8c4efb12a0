"""The epoch's running sums, kept on the device, and history.csv."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustfront.artefacts import atomic_write
from robustfront.methods.base import Losses

COLUMNS = [
    "epoch",
    "lr",
    "seconds",
    "validation_seconds",
    "images_per_second",
    "train_loss",
    "train_clean_loss",
    "train_adversarial_loss",
    "train_clean_accuracy",
    "train_adversarial_accuracy",
    "validation_clean_loss",
    "validation_clean_accuracy",
    "validation_adversarial_loss",
    "validation_adversarial_accuracy",
    "projected_gradient_norm",
    "projected_gradient_share",
    "head_offset_in_row_space",
]


class EpochSums:
    """Sums of losses and hits over an epoch's images, float64, without a host synchronisation per batch."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, losses: Losses, labels: Tensor) -> None:
        """Adds a batch: its losses are means over the images with `labels` (B,)."""
        for name, loss in {**losses.parts, "loss": losses.total}.items():  # a part may be called so
            self._add(f"train_{name}", loss.double() * len(labels))
        for name, logits in (("clean", losses.clean_logits), ("adversarial", losses.adversarial_logits)):
            if logits is not None:
                self._add(f"train_{name}_accuracy", (logits.argmax(dim=1) == labels).sum().double())

    def _add(self, name: str, value: Tensor) -> None:
        self.values[name] = self.values[name] + value if name in self.values else value

    def means(self, images: int) -> dict[str, float]:
        """Means over the epoch's images."""
        return {name: float(value) / images for name, value in self.values.items()}


def write_history(rows: list[dict[str, Any]], path: Path) -> None:
    """history.csv: the agreed columns first, then what only this method logs."""
    extra = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in COLUMNS]
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS + extra, restval="")
        writer.writeheader()
        writer.writerows(rows)


def not_finite(row: Mapping[str, float]) -> list[str]:
    """The columns of an epoch that are NaN or infinite."""
    return [name for name, value in row.items() if not abs(value) < float("inf")]
