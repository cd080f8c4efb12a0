"""Batch norms without running statistics: which a network has, and how they get some after training.

Such a layer normalises by the batch at hand in eval mode, too. What an image is taken for then depends on the
other images of its batch, and an attack on the batch moves all of them together. So such a network is judged
in whole batches, of one size and always of the same images.
"""

from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn

from robustfront.errors import ConfigError

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What a batch norm that has running statistics keeps beside its weights."""


def batch_statistics_layers(model: nn.Module) -> list[str]:
    """Names of batch norms that would use the statistics of the batch even in eval mode."""
    return [name for name, layer in _batch_norms(model) if layer.running_mean is None]


def filled(positions: Tensor, batch_size: int) -> tuple[Tensor, int]:
    """`positions` (N,), then as many of the first ones as fill the last batch; and the size of every batch.

    The images that fill it are attacked there once more, and what becomes of them there does not count. Fewer
    images than `batch_size` are one batch.
    """
    size = min(batch_size, len(positions))
    return torch.cat([positions, positions[: -len(positions) % size]]), size


def forget_statistics(model: nn.Module, tracked: Collection[str] = ()) -> None:
    """From now on all batch norms of `model` use the statistics of the batch, also in eval mode.

    But for those of the names `tracked`; ConfigError if the network has no batch norm of such a name.
    """
    layers = dict(_batch_norms(model))
    if unknown := [name for name in tracked if name not in layers]:
        raise ConfigError(
            f"batch_norm.tracked: there is no batch norm '{unknown[0]}' in the network, but "
            + ", ".join(f"'{name}'" for name in layers)
        )
    for name in layers.keys() - set(tracked):
        layers[name].track_running_stats = False
        for statistic in STATISTICS:
            setattr(layers[name], statistic, None)


@torch.no_grad()
def reestimate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Gives the running statistics of `model` anew, in place: averages over images (B, C, H, W) in [0, 1].

    Each batch counts the same: mean and unbiased variance of what reaches a batch norm, while those before it
    normalise by that batch, as they did in training. The rest of the network is in eval mode; all is
    afterwards.
    """
    layers = [layer for _, layer in _batch_norms(model)]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for the average of all batches
        layer.train()
    for images in batches:
        model(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.eval()


def _batch_norms(model: nn.Module) -> list[tuple[str, nn.modules.batchnorm._BatchNorm]]:
    kind = nn.modules.batchnorm._BatchNorm
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, kind)]
