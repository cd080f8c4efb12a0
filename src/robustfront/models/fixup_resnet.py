"""Residual network of 6n + 2 layers for small images, without batch norm.

He et al. 2016, the CIFAR form: a 3x3 stem, three stages of n basic blocks with width * (1, 2, 4) channels, of
which the later ones halve the image, global average pooling, a linear head. Shortcuts have no parameters:
every second pixel, and zeros for the channels that are new. So ResNet-56 has exactly 55 convolutions.

Without batch norm it is trained from the initialisation of Zhang, Dauphin and Ma, Fixup Initialization, 2019
(arXiv 1901.09321): with L blocks in all, the first convolution of a block is He's normal one (of the outputs)
times L^(-1/2), the second one zero, the head zero; the stem has torch's own, as in their code. Their scalar
layers, a bias before each convolution and activation and a multiplier per block, are an option: they change
the spectral norm of what they follow.

`norm: batch` is the twin with batch norm after every convolution, all of them He's normal.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config.images import Normalisation
from robustfront.config.networks.fixup_resnet import FixupResNet as Settings
from robustfront.models.classifier import Classifier


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class Shift(nn.Module):
    """x plus one number that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class Scale(nn.Module):
    """x times one number that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Block(nn.Module):
    """relu(shortcut + after2(conv2(before2(relu(after1(conv1(before1(x))))))).

    What comes before and after a convolution is nothing, batch norm, or Fixup's scalars; the shortcut starts
    from before1(x), as in Fixup's code.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, settings: Settings) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, stride)
        self.conv2 = _conv(outputs, outputs)
        between: list[nn.Module] = [nn.Identity() for _ in range(4)]
        if settings.norm == "batch":
            between[1::2] = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        if settings.scalars:
            between = [Shift(), Shift(), Shift(), nn.Sequential(Scale(), Shift())]
        self.before1, self.after1, self.before2, self.after2 = between
        self.stride, self.new_channels = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        shifted = self.before1(x)
        h = self.before2(relu(self.after1(self.conv1(shifted))))
        h = self.after2(self.conv2(h))
        shortcut = x
        if self.stride != 1 or self.new_channels:
            shortcut = shifted[:, :, :: self.stride, :: self.stride]
            zeros = shortcut.new_zeros(len(x), self.new_channels, *shortcut.shape[2:])
            shortcut = torch.cat([shortcut, zeros], dim=1)
        return relu(h + shortcut)


class FixupResNet(Classifier):
    """The network that `config` describes, freshly initialised from torch's global generator."""

    def __init__(
        self, config: Settings, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        self.stem = _conv(channels, config.width)
        self.after_stem: nn.Module = nn.Identity()
        if config.norm == "batch":
            self.after_stem = nn.BatchNorm2d(config.width)
        elif config.scalars:
            self.after_stem = Shift()
        self.blocks = nn.Sequential(*(Block(*shape, config) for shape in config.block_shapes()))
        self.before_head = Shift() if config.scalars else nn.Identity()
        self.head = nn.Linear(config.feature_count, classes)
        if config.norm == "batch":
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            self._fixup()

    def _fixup(self) -> None:
        blocks = [module for module in self.blocks if isinstance(module, Block)]
        for block in blocks:
            fan_out = block.conv1.weight.shape[0] * block.conv1.weight[0, 0].numel()
            nn.init.normal_(block.conv1.weight, std=math.sqrt(2 / fan_out / len(blocks)))
            nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def segments(self) -> list[nn.Module]:
        return list(self.blocks)

    def features(self, x: Tensor) -> Tensor:
        h = self.blocks(relu(self.after_stem(self.stem(self.normalise(x)))))
        # A mean, not AdaptiveAvgPool2d: its backward pass on CUDA is not deterministic.
        found: Tensor = self.before_head(h.mean(dim=(2, 3)))
        return found
