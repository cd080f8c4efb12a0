"""A data set and trainings of a second, straight on the loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from robustfront.config import networks, schema
from robustfront.config.images import CropFlip, Normalisation
from robustfront.data.store import Split, Store
from robustfront.methods import methods
from robustfront.methods.base import Losses, Method, Setting
from robustfront.methods.moment import Moment
from robustfront.models import Classifier, build, nullspace
from robustfront.models.batch_norm import forget_statistics
from robustfront.training.batch_norm import share_batch_norms
from robustfront.training.loop import Outcome, Trainer, Watcher
from robustfront.training.world import ALONE, World

CLASSES = 3
ATTACK = {"steps": 2, "step_size": 0.02, "start": "gaussian"}
TRAINING: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "optimizer": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-2},
    "schedule": {"kind": "cosine", "warmup": 0.2},
    "validation": {"threat": {"eps": 0.05}, "attack": {"steps": 2, "step_size": 0.03}},
}
CLOCK = ("seconds", "validation_seconds", "images_per_second")


def split(count: int, seed: int, device: str = "cpu") -> Split:
    """Noise, (count, 1, 8, 8), with a bright band at the height of the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 2 * label : 2 * label + 2] += 60
    return Split(images.to(device, torch.uint8), labels.to(device), torch.arange(count, device=device))


def store(images: int = 72, device: str = "cpu") -> Store:
    """With batches of 16, 72 images leave a last one of 8."""
    sizes = {"train": images, "validation": 24, "test": 8}
    splits = {name: split(size, seed, device) for seed, (name, size) in enumerate(sizes.items())}
    return Store(**splits, classes=CLASSES)


def network(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    normalisation = Normalisation(mean=(0.3,), std=(0.25,))
    model = build(
        networks.PreActResNet(depth=10, width=2), channels=1, classes=CLASSES, normalisation=normalisation
    )
    return model.to(memory_format=torch.channels_last)


def batchwise() -> Classifier:
    """The network without running statistics."""
    model = network()
    forget_statistics(model)
    return model


def training(**edits: Any) -> schema.Training:
    return schema.Training.model_validate(TRAINING | edits)


def trainer(
    name: str | Callable[[Classifier], Method],
    *,
    images: int = 72,
    pad: int = 0,
    seed: int = 0,
    device: str = "cpu",
    edits: dict[str, Any] | None = None,
    world: World = ALONE,
    dtype: torch.dtype = torch.float32,
    architecture: Callable[[], Classifier] = network,
    **params: Any,
) -> Trainer:
    """A fresh training by the method `name`, or by the one a function makes of the model."""
    model = architecture().to(device, dtype)
    if world.size > 1:
        share_batch_norms(model)
    if isinstance(name, str):
        kind = methods[name].method
        given = {} if name == "standard" else {"threat": {"eps": 0.1}, "attack": ATTACK}
        space = nullspace.compute(model.head.weight, 1e-6) if kind.needs_null_space else None
        method = kind(kind.Params.model_validate(given | params), Setting(model, space))
    else:
        method = name(model)
    return Trainer(
        "a-run",
        model=model,
        method=method,
        store=store(images, device),
        training=training(**(edits or {})),
        augmentation=CropFlip(pad=pad, flip=pad > 0),
        seed=seed,
        world=world,
    )


def fit(made: Trainer, **watching: Any) -> Outcome:
    watcher: dict[str, Any] = {"save": lambda state: None}
    return made.fit(Watcher(**(watcher | watching)))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def without_clock(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in CLOCK} for row in history]


class Scripted(Method):
    """Cross entropy on clean images times `factor(step)`, counting steps from 0; keeps the images it saw."""

    def __init__(self, model: Classifier, factor: Callable[[int], float] = lambda step: 1.0) -> None:
        super().__init__(None, Setting(model))
        self.factor = factor
        self.images: list[Tensor] = []

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        logits = self.model(x)
        loss = torch.nn.functional.cross_entropy(logits, y) * self.factor(len(self.images))
        self.images.append(x.clone())
        return Losses({"clean_loss": loss}, clean_logits=logits)
