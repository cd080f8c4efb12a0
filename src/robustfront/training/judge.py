"""What the validation images say of a model: the basis of model selection. Never sees a test image."""

import torch
from torch import Tensor

from robustfront import attacks, losses
from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Validation
from robustfront.data.augment import to_float
from robustfront.data.store import Split
from robustfront.models import Classifier
from robustfront.training.world import ALONE, World

BATCH = 500
"""Images per forward pass; the attack's noise is drawn per batch, so results depend on it."""


def judge(
    model: Classifier,
    split: Split,
    validation: Validation,
    generator: PartGenerator,
    world: World = ALONE,
) -> dict[str, float]:
    """`validation_clean_loss`, `_accuracy`, and `validation_adversarial_*` where there is an attack.

    Cross entropy and accuracy, means over `split`, in eval mode and float32; the model's mode is restored.
    Each process of the `world` judges its part of every batch; all get the result.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, Tensor] = {}
    for images, labels in zip(split.images.split(BATCH), split.labels.split(BATCH), strict=True):
        rows = world.rows(len(labels))
        generator.take(rows, len(labels))
        x, y = to_float(images[rows]).contiguous(memory_format=torch.channels_last), labels[rows]
        views = {"clean": x}
        if validation.attack is not None and validation.threat is not None:
            ball = attacks.Ball.of(validation.threat, model.mean, model.std)
            views["adversarial"] = attacks.pgd(model, x, y, ball, validation.attack, generator=generator)
        for name, view in views.items():
            with torch.no_grad():
                logits = model(view)
            found = {"loss": losses.cross_entropy(logits, y), "accuracy": logits.argmax(dim=1) == y}
            for key, values in found.items():
                column = f"validation_{name}_{key}"
                sums[column] = sums.get(column, 0) + values.double().sum()
    model.train(was_training)
    world.add(sums.values())
    return {column: float(value) / len(split) for column, value in sums.items()}
