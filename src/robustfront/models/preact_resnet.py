"""Pre-activation residual network for small images.

He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks, 2016, in the form common for CIFAR: a 3x3
stem of stride 1 without pooling; four stages of basic blocks with width * (1, 2, 4, 8) channels, of which
all but the first halve the image; global average pooling; a linear head. Images from 8x8 (the last stage
then sees 1x1) and of any number of channels will do.

Two versions are in public use. `final_norm` (He et al.; Rice et al. 2020; AWP) ends the residual stream in
batch norm + ReLU, and it is the default: without it (pytorch-cifar, FRL, CAAT) the features are raw sums of
residual branches whose scale grows with depth and training.

`hidden` is NPAT's "extra linear layer" (Table 2), taken literally: no activation follows it, so the logits
stay affine in the pooled features. These A h + b fill at most 8 * width dimensions: a wider layer enlarges
the head's null space, but for a given A not the set of feature changes that leave the logits alone.

Initialisation is torch's own, as in all the public versions above: every convolution and linear layer
uniform in +-1/sqrt(fan_in), batch norm 1 and 0. It draws from torch's global generator: seed that first.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config import networks
from robustfront.config.images import Normalisation
from robustfront.config.networks.preact_resnet import BLOCKS
from robustfront.models.classifier import Classifier


def _conv(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


def _norm_relu(norm: nn.Module, x: Tensor) -> Tensor:
    # In place, for about 5 % of an attack step on a CPU: not even the backward pass reads the norm's output.
    return relu(norm(x), inplace=True)


class Block(nn.Module):
    """x -> shortcut + conv2(relu(norm2(conv1(a)))) with a = relu(norm1(x)).

    The shortcut is x itself, or a 1x1 convolution of a where the block changes channels or resolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.norm2: nn.Module = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3, 1)
        changes_shape = stride != 1 or inputs != outputs
        self.shortcut = _conv(inputs, outputs, 1, 1) if changes_shape else None
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        activated = _norm_relu(self.norm1, x)
        shortcut = x
        if self.shortcut is not None:
            # Not by a convolution with stride, which gives the same bits: of one with fewer than 8 input
            # channels, channels-last, torch 2.15 on CPUs writes the weights' gradient beyond its memory.
            shortcut = self.shortcut(activated[:, :, :: self.stride, :: self.stride])
        residual: Tensor = self.conv2(_norm_relu(self.norm2, self.conv1(activated)))
        return residual + shortcut


class PreActResNet(Classifier):
    """The network that `config` describes, freshly initialised; `config.pretrained` is `build`'s business."""

    def __init__(
        self, config: networks.PreActResNet, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        widths = [config.width * factor for factor in (1, 1, 2, 4, 8)]
        self.stem = _conv(channels, config.width, 3, 1)
        self.stages = nn.Sequential()
        for (inputs, outputs), blocks in zip(pairwise(widths), BLOCKS[config.depth], strict=True):
            first = Block(inputs, outputs, stride=2 if len(self.stages) else 1)
            rest = (Block(outputs, outputs, stride=1) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))
        self.norm = nn.BatchNorm2d(widths[-1]) if config.final_norm else None
        self.hidden = nn.Linear(widths[-1], config.hidden) if config.hidden else None
        self.head = nn.Linear(config.hidden or widths[-1], classes)

    def segments(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, Block)]

    def folded(self, dtype: torch.dtype) -> "PreActResNet":
        from robustfront.models.folded import fold  # which imports this module

        return fold(self, dtype)

    def refold(self, copy: Classifier) -> None:
        from robustfront.models.folded import refresh

        assert isinstance(copy, PreActResNet)
        refresh(copy, self)

    def features(self, x: Tensor) -> Tensor:
        h: Tensor = self.stages(self.stem(self.normalise(x)))
        if self.norm is not None:
            h = _norm_relu(self.norm, h)
        # A mean, not AdaptiveAvgPool2d: its backward pass on CUDA is not deterministic.
        h = h.mean(dim=(2, 3))
        return h if self.hidden is None else self.hidden(h)
