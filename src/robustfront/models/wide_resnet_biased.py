"""The wide residual network of NuAT's public code (CIFAR10/WideResNet.py).

It differs from `wide_resnet`: convolutions have biases; a block halves the image in its second convolution;
a shortcut that changes the shape starts from the block's input as it is, not from the activated one; the last
batch norm follows its batches with momentum 0.9 (so that its statistics are those of the last batch or two);
initialisation is torch's own, as the code never calls its own. It draws from torch's global generator.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config.images import Normalisation
from robustfront.config.networks import wide_resnet_biased
from robustfront.models.classifier import Classifier


class Block(nn.Module):
    """x -> shortcut(x) + conv2(relu(norm2(conv1(relu(norm1(x))))))."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if stride != 1 or inputs != outputs else None
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.conv1(relu(self.norm1(x), inplace=True))
        branch = self.conv2(relu(self.norm2(branch), inplace=True))
        if self.shortcut is not None:
            # Sliced, not a convolution with stride: see models/preact_resnet.py.
            x = self.shortcut(x[:, :, :: self.stride, :: self.stride])
        return branch + x


class WideResNetBiased(Classifier):
    """The network that `config` describes, freshly initialised."""

    def __init__(
        self,
        config: wide_resnet_biased.WideResNetBiased,
        *,
        channels: int,
        classes: int,
        normalisation: Normalisation,
    ) -> None:
        super().__init__(normalisation)
        widths = [16, *(factor * config.factor for factor in (16, 32, 64))]
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.stages = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            first = Block(inputs, outputs, 2 if len(self.stages) else 1)
            rest = (Block(outputs, outputs, 1) for _ in range((config.depth - 4) // 6 - 1))
            self.stages.append(nn.Sequential(first, *rest))
        self.norm = nn.BatchNorm2d(widths[-1], momentum=0.9)
        self.head = nn.Linear(widths[-1], classes)

    def segments(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, Block)]

    def features(self, x: Tensor) -> Tensor:
        h = self.stages(self.stem(self.normalise(x)))
        # A mean, not AdaptiveAvgPool2d: its backward pass on CUDA is not deterministic.
        return relu(self.norm(h), inplace=True).mean(dim=(2, 3))
