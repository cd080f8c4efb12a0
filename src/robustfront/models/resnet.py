"""Residual network for small images, with the activation after the sum.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015, in the form common for CIFAR
(pytorch-cifar; CA-AT): a 3x3 stem of stride 1 without pooling; four stages of basic blocks with
width * (1, 2, 4, 8) channels, of which all but the first halve the image; global average pooling; a linear
head. Images from 8x8 and of any number of channels will do.

The stem's batch norm is `norm`: where only those inside the blocks are to go by the batch, as in CA-AT's
code, the config says `batch_norm: {kind: untracked, tracked: [norm]}`.

Initialisation is torch's own. It draws from torch's global generator: seed that first.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config.images import Normalisation
from robustfront.config.networks import resnet
from robustfront.config.networks.preact_resnet import BLOCKS
from robustfront.models.classifier import Classifier


def _conv(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


class Block(nn.Module):
    """x -> relu(shortcut + norm2(conv2(relu(norm1(conv1(x))))))), the branch after a ReLU if `branch_relu`.

    The shortcut is x itself, or a 1x1 convolution of x with a batch norm where the block halves the image.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, branch_relu: bool) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3, 1)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = _conv(inputs, outputs, 1, 1) if stride != 1 else None
        self.shortcut_norm = nn.BatchNorm2d(outputs) if stride != 1 else None
        self.stride = stride
        self.branch_relu = branch_relu

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.norm2(self.conv2(relu(self.norm1(self.conv1(x)), inplace=True)))
        if self.branch_relu:
            branch = relu(branch, inplace=True)
        if self.shortcut is not None and self.shortcut_norm is not None:
            # Sliced, not a convolution with stride: see models/preact_resnet.py.
            x = self.shortcut_norm(self.shortcut(x[:, :, :: self.stride, :: self.stride]))
        return relu(branch + x, inplace=True)


class ResNet(Classifier):
    """The network that `config` describes, freshly initialised."""

    def __init__(
        self, config: resnet.ResNet, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        widths = [config.width * factor for factor in (1, 1, 2, 4, 8)]
        self.stem = _conv(channels, config.width, 3, 1)
        self.norm = nn.BatchNorm2d(config.width)
        self.stages = nn.Sequential()
        for (inputs, outputs), blocks in zip(pairwise(widths), BLOCKS[config.depth], strict=True):
            first = Block(inputs, outputs, 2 if len(self.stages) else 1, config.branch_relu)
            rest = (Block(outputs, outputs, 1, config.branch_relu) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))
        self.head = nn.Linear(widths[-1], classes)

    def segments(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, Block)]

    def features(self, x: Tensor) -> Tensor:
        h = relu(self.norm(self.stem(self.normalise(x))), inplace=True)
        # A mean, not AdaptiveAvgPool2d: its backward pass on CUDA is not deterministic.
        features: Tensor = self.stages(h).mean(dim=(2, 3))
        return features
