"""Parameters and arithmetic of a network in closed form, without building it and without torch.

Counted as torch's FlopCounterMode does: convolutions and linear layers, a multiply-add as 2, padding as if it
were image, biases and everything pointwise (batch norm, ReLU, pooling, sums) as nothing.
"""

from collections.abc import Iterator
from itertools import pairwise

from robustfront.config.schema import PreActResNet

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks in each stage, by depth (which counts the 3x3 convolutions and the head)."""


def _block_shapes(model: PreActResNet) -> Iterator[tuple[int, int, int]]:
    """(input channels, output channels, stride) of each block, in order."""
    widths = [model.width * factor for factor in (1, 1, 2, 4, 8)]
    for stage, (inputs, outputs) in enumerate(pairwise(widths)):
        yield inputs, outputs, 2 if stage else 1
        for _ in range(BLOCKS[model.depth][stage] - 1):
            yield outputs, outputs, 1


def parameters(model: PreActResNet, *, channels: int, classes: int) -> int:
    """Number of trainable parameters (batch-norm statistics and normalisation are buffers)."""
    total = 9 * channels * model.width
    for inputs, outputs, _ in _block_shapes(model):
        total += 2 * inputs + 9 * inputs * outputs + 2 * outputs + 9 * outputs**2
        total += inputs * outputs if inputs != outputs else 0
    features = 8 * model.width
    if model.final_norm:
        total += 2 * features
    if model.hidden is not None:
        total += (features + 1) * model.hidden
        features = model.hidden
    return total + (features + 1) * classes


def forward_flops(model: PreActResNet, *, channels: int, size: int, classes: int) -> int:
    """Floating-point operations of one forward pass of one image of size x size pixels.

    A backward pass to the input costs as much again, and one to the weights too.
    """
    total = 9 * channels * model.width * size**2
    for inputs, outputs, stride in _block_shapes(model):
        size = -(-size // stride)
        kernels = 9 * inputs * outputs + 9 * outputs**2
        kernels += inputs * outputs if inputs != outputs else 0
        total += kernels * size**2
    features = 8 * model.width
    if model.hidden is not None:
        total += features * model.hidden
        features = model.hidden
    return 2 * (total + features * classes)
