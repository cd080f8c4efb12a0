"""Residual network of bottleneck blocks, with batch norm; `factor: 2` is the WRN-50-2-bottleneck.

Zagoruyko and Komodakis, Wide Residual Networks, 2016: the ImageNet network of He et al. with 3x3 convolutions
that are `factor` times as wide. For 64x64 images the stem is a 3x3 convolution of stride 1 and padding 1, and
there is no pooling after it (S003, appendix D.2). The stride of a stage is in its first 3x3 convolution.

Initialisation as S003 says: convolutions by Xavier's uniform (Glorot & Bengio 2010); batch norm 1 and 0 and
the head as torch has them. No dropout.
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config.images import Normalisation
from robustfront.config.networks.bottleneck_resnet import BottleneckResNet as Settings
from robustfront.models.classifier import Classifier


def _conv_norm(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """relu(shortcut + 1x1(relu(3x3(relu(1x1(x)))))), with batch norm after each convolution."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, changes: bool) -> None:
        super().__init__()
        self.reduce = _conv_norm(inputs, inner, 1)
        self.convolve = _conv_norm(inner, inner, 3, stride)
        self.expand = _conv_norm(inner, outputs, 1)
        self.shortcut = _conv_norm(inputs, outputs, 1) if changes else None
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        h = self.expand(relu(self.convolve(relu(self.reduce(x)))))
        if self.shortcut is not None:
            # The pixels first and then a convolution without stride: see `preact_resnet`.
            x = self.shortcut(x[:, :, :: self.stride, :: self.stride])
        return relu(h + x)


class BottleneckResNet(Classifier):
    """The network that `config` describes, freshly initialised from torch's global generator."""

    def __init__(
        self, config: Settings, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        self.stem = _conv_norm(channels, config.width, 3)
        self.blocks = nn.Sequential(*(Block(*shape) for shape in config.block_shapes()))
        self.head = nn.Linear(config.feature_count, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def segments(self) -> list[nn.Module]:
        return list(self.blocks)

    def features(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(relu(self.stem(self.normalise(x))))
        # A mean, not AdaptiveAvgPool2d: its backward pass on CUDA is not deterministic.
        return h.mean(dim=(2, 3))
