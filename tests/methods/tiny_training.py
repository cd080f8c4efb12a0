"""A data set, a network and a training of a few seconds, for methods whose behaviour spans epochs."""

from typing import Any

import torch
from torch import Tensor

from robustfront.config import networks, schema
from robustfront.config.images import CropFlip, Normalisation
from robustfront.data.store import Split, Store
from robustfront.methods import methods
from robustfront.methods.base import Method, Setting
from robustfront.models import Classifier, build
from robustfront.training.loop import Trainer

CLASSES = 4
ATTACK = {"steps": 2, "step_size": 0.02, "start": "gaussian"}
THREAT = {"eps": 0.03}
TRAINING = {
    "epochs": 2,
    "batch_size": 16,
    "optimizer": {"lr": 0.05},
    "schedule": {"kind": "constant"},
    "select": "last",
    "validation": {"threat": {"eps": 0.02}, "attack": {"steps": 1, "step_size": 0.02}},
}


def split(n: int, seed: int, *, labels: Tensor | None = None) -> Split:
    """Noisy images, (n, 1, 8, 8), of which each class has a bright quadrant of its own."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % CLASSES if labels is None else labels
    images = torch.randint(0, 100, (n, 1, 8, 8), generator=generator)
    for image, label in zip(images, y.tolist(), strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[:, row : row + 4, column : column + 4] += 60
    return Split(images.to(torch.uint8), y, torch.arange(n))


def store() -> Store:
    """Batches of 16 leave a last one of 8."""
    return Store(train=split(72, 0), validation=split(24, 1), test=split(8, 2), classes=CLASSES)


def network(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    normalisation = Normalisation(mean=(0.3,), std=(0.25,))
    model = build(
        networks.PreActResNet(depth=10, width=4), channels=1, classes=CLASSES, normalisation=normalisation
    )
    return model.to(memory_format=torch.channels_last)


def make(name: str, model: Classifier, **params: Any) -> Method:
    method = methods[name].method
    given = {"threat": THREAT, "attack": ATTACK} | params
    return method(method.Params.model_validate(given), Setting(model))


def trainer(name: str, *, pad: int = 0, training: dict[str, Any] | None = None, **params: Any) -> Trainer:
    """A fresh training of method `name`, as the session would set it up."""
    model = network()
    return Trainer(
        "tiny",
        model=model,
        method=make(name, model, **params),
        store=store(),
        training=schema.Training.model_validate(TRAINING | (training or {})),
        augmentation=CropFlip(pad=pad),
        seed=0,
    )
