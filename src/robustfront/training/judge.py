"""What the validation images say of a model: the basis of model selection. Never sees a test image."""

import torch
from torch import Tensor

from robustfront import attacks, losses
from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Validation
from robustfront.data.augment import to_float
from robustfront.data.store import Split
from robustfront.models import Classifier
from robustfront.models.batch_norm import batch_statistics_layers, filled
from robustfront.models.conditional import Conditional
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

    `validation_<name>_*` likewise of each attack `beside`.

    Cross entropy and accuracy, means over `split`, in eval mode and float32; the model's mode is restored.
    A conditional network is judged at each of `validation.conditions`, which count the same. Each process of
    the `world` judges its part of every batch; all get the result. Batches are whole ones for a network that
    looks at them (`filled`).
    """
    was_training = model.training
    model.eval()
    conditions = validation.conditions if isinstance(model, Conditional) else ()
    networks = [model.given(condition) for condition in conditions] or [model]
    sums: dict[str, Tensor] = {}
    lineup, size = torch.arange(len(split), device=split.labels.device), BATCH
    if batch_statistics_layers(model):
        lineup, size = filled(lineup, BATCH)
    for done, batch in zip(range(0, len(lineup), size), lineup.split(size), strict=True):
        rows = world.rows(len(batch))
        generator.take(rows, len(batch))
        counted = slice(max(0, len(split) - done - rows.start))  # what fills up the batch is not
        own = batch[rows]
        x, y = to_float(split.images[own]).contiguous(memory_format=torch.channels_last), split.labels[own]
        for network in networks:
            for name, view in _views(network, x, y, validation, generator).items():
                with torch.no_grad():
                    logits = network(view)
                found = {"loss": losses.cross_entropy(logits, y), "accuracy": logits.argmax(dim=1) == y}
                for key, values in found.items():
                    column = f"validation_{name}_{key}"
                    sums[column] = sums.get(column, 0) + values[counted].double().sum()
    model.train(was_training)
    world.add(sums.values())
    return {column: float(value) / (len(split) * len(networks)) for column, value in sums.items()}


def _views(
    network: Classifier, x: Tensor, y: Tensor, validation: Validation, generator: PartGenerator
) -> dict[str, Tensor]:
    """The images as they are and, where the validation has attacks, as each leaves them."""
    views = {"clean": x}
    if validation.attack is not None and validation.threat is not None:
        ball = attacks.Ball.of(validation.threat, network.mean, network.std)
        for name, ascent in {"adversarial": validation.attack, **validation.beside}.items():
            views[name] = attacks.pgd(network, x, y, ball, ascent, generator=generator)
    return views
