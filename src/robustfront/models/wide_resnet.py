"""Wide residual network for small images.

Zagoruyko and Komodakis: Wide Residual Networks, 2016, as TRADES and CA-AT have it: a 3x3 stem of 16 channels;
three stages of pre-activation blocks with factor * (16, 32, 64) channels, of which the second and the third
halve the image; batch norm, ReLU and global average pooling; a linear head. No convolution has a bias, and a
shortcut that changes the number of channels starts from the activated input. (NuAT's network of this name
differs in all three.)

Initialisation is that of those codes: kernels N(0, 2 / (k² outputs)), the head's bias 0, its weights torch's
own. It draws from torch's global generator: seed that first.
"""

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config.images import Normalisation
from robustfront.config.networks import wide_resnet
from robustfront.models import preact_resnet
from robustfront.models.classifier import Classifier


class Block(preact_resnet.Block):
    """The pre-activation block, with dropout before the second convolution.

    Where it changes the resolution it changes the channels too, so the shortcuts are the same.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__(inputs, outputs, stride)
        if dropout:
            self.add_module("conv2", nn.Sequential(nn.Dropout(dropout), self.conv2))


class WideResNet(Classifier):
    """The network that `config` describes, freshly initialised."""

    def __init__(
        self, config: wide_resnet.WideResNet, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        widths = [16, *(factor * config.factor for factor in (16, 32, 64))]
        blocks = (config.depth - 4) // 6
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.stages = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            first = Block(inputs, outputs, 2 if len(self.stages) else 1, config.dropout)
            rest = (Block(outputs, outputs, 1, config.dropout) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / (module.weight[:, 0].numel())))
        nn.init.zeros_(self.head.bias)

    def segments(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, Block)]

    def features(self, x: Tensor) -> Tensor:
        h = self.stages(self.stem(self.normalise(x)))
        # A mean, not AdaptiveAvgPool2d: its backward pass on CUDA is not deterministic.
        return relu(self.norm(h), inplace=True).mean(dim=(2, 3))
