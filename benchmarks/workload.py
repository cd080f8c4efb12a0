"""The one workload everybody gets: network, initial weights, images, threat model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import images
from robustfront.attacks import Ball
from robustfront.config import networks, schema
from robustfront.config.images import CropFlip, Normalisation
from robustfront.data.augment import to_float
from robustfront.data.store import Split, Store
from robustfront.methods import methods
from robustfront.methods.base import Setting
from robustfront.models import Classifier, build, nullspace
from robustfront.training.loop import Trainer

EPS, STEP_SIZE, CLASSES = 8 / 255, 2 / 255, 10
THREAT = schema.Threat(norm="linf", eps=EPS, space="pixel")
NORMALISATION = Normalisation(mean=(0.49137, 0.48235, 0.44667), std=(0.24706, 0.24353, 0.26157))


@dataclass(frozen=True)
class Workload:
    """`batch` images of `size` pixels square, uint8 and as floats, on the device; the network to copy."""

    config: networks.PreActResNet
    network: Classifier
    images: Tensor
    labels: Tensor
    described: str

    @classmethod
    def make(
        cls,
        config: networks.PreActResNet,
        *,
        batch: int,
        size: int,
        folder: Path | None,
        device: torch.device,
    ) -> Workload:
        """Initial weights of seed 0; batch norm statistics from the images, as if training had begun."""
        pixels, labels, described = images.load(folder, batch)
        pixels = pixels[:, :, :size, :size].contiguous().to(device)
        torch.manual_seed(0)
        network = build(config, channels=3, classes=CLASSES, normalisation=NORMALISATION).to(device)
        with torch.no_grad():
            for _ in range(20):
                network(to_float(pixels[:32]))
        return cls(config, network, pixels, labels.to(device), described)

    @property
    def x(self) -> Tensor:
        """float32 in [0, 1], NCHW."""
        return to_float(self.images)

    @property
    def channels_last(self) -> Tensor:
        """`x` as trainings of ours have it."""
        return self.x.contiguous(memory_format=torch.channels_last)

    def part(self, count: int) -> Workload:
        """Of the first so many images."""
        return replace(self, images=self.images[:count], labels=self.labels[:count])

    def on(self, device: torch.device) -> Workload:
        """The same on another device."""
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, network=copy.deepcopy(self.network).to(device), images=images, labels=labels)

    @property
    def device(self) -> torch.device:
        return self.images.device

    def unit_flops(self, count: int) -> float:
        """Arithmetic of one forward pass of `count` images."""
        size = self.images.shape[-1]
        return count * self.config.forward_flops(channels=3, size=size, classes=CLASSES)

    def copy(self, *, channels_last: bool = False) -> Classifier:
        """The network in eval mode, its contestant's own."""
        model = copy.deepcopy(self.network).eval()
        return model.to(memory_format=torch.channels_last) if channels_last else model

    def ball(self) -> Ball:
        return Ball.of(THREAT, self.network.mean, self.network.std)

    def trainer(
        self,
        method: str,
        *,
        precision: str,
        steps: int,
        epochs: int = 1,
        batch: int | None = None,
        **params: Any,
    ) -> Trainer:
        """A training of ours, set up as `robustfront train` does, on these images."""
        model = self.copy(channels_last=True).train()
        entry = methods[method].method
        start = "uniform" if method == "pgd_at" else "gaussian"
        attack = {"steps": steps, "step_size": STEP_SIZE, "start": start}
        shared = {"threat": THREAT, "attack": attack}
        given = {name: value for name, value in shared.items() if name in entry.Params.model_fields} | params
        null_space = None
        if entry.needs_null_space:
            null_space = nullspace.compute(model.head.weight, 1e-5)
        count = len(self.labels)
        train = Split(self.images, self.labels, torch.arange(count))
        few = Split(self.images[:16], self.labels[:16], torch.arange(16))
        return Trainer(
            method,
            model=model,
            method=entry(entry.Params.model_validate(given), Setting(model, null_space)),
            store=Store(train, few, few, classes=CLASSES),
            training=schema.Training.model_validate(
                {
                    "epochs": epochs,
                    "batch_size": batch or count,
                    "optimizer": {"lr": 0.01},
                    "schedule": {"kind": "constant"},
                    "select": "last",
                    "validation": {"every": epochs},
                    "precision": precision,
                }
            ),
            augmentation=CropFlip(pad=4, flip=True),
            seed=0,
        )

    def training_step(self, method: str, *, precision: str, steps: int, **params: Any) -> Callable[[], None]:
        """One step of that training on all the images, augmentation and optimiser included."""
        trainer = self.trainer(method, precision=precision, steps=steps, **params)
        order = torch.arange(len(self.labels), device=self.device)
        return lambda: trainer._step(order)  # what `fit` repeats
