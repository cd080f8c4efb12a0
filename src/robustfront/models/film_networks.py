"""Residual networks that are told lambda by FiLM, and the same ones without, for models of one lambda each.

`film_resnet` is the CIFAR ResNet of post-activation basic blocks (He et al. 2016: 3x3 stem, no pooling),
`film_wide_resnet` WRN-depth-k with dropout (Zagoruyko & Komodakis 2016). Both as in the public code of
Wang et al. 2020; images of any size and number of channels will do, as pooling is over all that is left.

Initialisation is torch's own. It draws from torch's global generator: seed that first.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from robustfront.config.images import Normalisation
from robustfront.config.networks.film import Film
from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.config.networks.film_wide_resnet import FilmWideResNet
from robustfront.errors import ConfigError
from robustfront.models.classifier import Classifier
from robustfront.models.conditional import Conditional
from robustfront.models.film import Encoding, Told, ToldNorm


def residual(config: FilmResNet, *, channels: int, classes: int, normalisation: Normalisation) -> Classifier:
    """The network that `config` describes, freshly initialised; conditional where it has FiLM."""
    return _network(Residual(config, channels), config, classes, normalisation)


def wide_residual(
    config: FilmWideResNet, *, channels: int, classes: int, normalisation: Normalisation
) -> Classifier:
    """The network that `config` describes, freshly initialised; conditional where it has FiLM."""
    return _network(WideResidual(config, channels), config, classes, normalisation)


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


def _every(h: Tensor, stride: int) -> Tensor:
    """What a 1x1 convolution of that stride looks at; preact_resnet.py says why it is not left to it."""
    return h[:, :, ::stride, ::stride]


class Block(nn.Module):
    """relu(norm2(conv2(relu(norm1(conv1(x))))) + shortcut), the shortcut x or norm(1x1 convolution of x)."""

    def __init__(self, inputs: int, outputs: int, stride: int, film: Film | None) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.norm1 = ToldNorm(outputs, film)
        self.conv2 = _conv(outputs, outputs, 3)
        self.norm2 = ToldNorm(outputs, film)
        self.shortcut: nn.Conv2d | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = _conv(inputs, outputs, 1)
            self.shortcut_norm = ToldNorm(outputs, film, residual=False)

    def forward(self, x: Tensor, told: Told | None) -> Tensor:
        h = relu(self.norm1(self.conv1(x), told), inplace=True)
        h = self.norm2(self.conv2(h), told)
        if self.shortcut is not None:
            x = self.shortcut_norm(self.shortcut(_every(x, self.stride)), told)
        return relu(h + x, inplace=True)


class Residual(nn.Module):
    """Normalised images (B, C, H, W) to features (B, D)."""

    def __init__(self, config: FilmResNet, channels: int) -> None:
        super().__init__()
        self.stem = _conv(channels, config.width, 3)
        self.norm = ToldNorm(config.width, config.film)
        self.blocks = nn.ModuleList(Block(*shape, config.film) for shape in config.block_shapes())

    def forward(self, h: Tensor, told: Told | None) -> Tensor:
        h = relu(self.norm(self.stem(h), told), inplace=True)
        for block in self.blocks:
            h = block(h, told)
        return h.mean(dim=(2, 3))


class WideBlock(nn.Module):
    """shortcut + conv2(dropout(relu(norm2(conv1(a))))) with a = relu(norm1(x)).

    The shortcut is x, or a 1x1 convolution of a where the block changes the number of channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, film: Film | None, dropout: float) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = ToldNorm(inputs, film)
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.norm2 = ToldNorm(outputs, film)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = _conv(outputs, outputs, 3)
        self.shortcut = _conv(inputs, outputs, 1) if stride != 1 or inputs != outputs else None

    def forward(self, x: Tensor, told: Told | None) -> Tensor:
        h = relu(self.norm1(x, told), inplace=True)
        if self.shortcut is not None:
            x = self.shortcut(_every(h, self.stride))
        h = relu(self.norm2(self.conv1(h), told), inplace=True)
        residual: Tensor = self.conv2(self.dropout(h))
        return x + residual


class WideResidual(nn.Module):
    """Normalised images (B, C, H, W) to features (B, D)."""

    def __init__(self, config: FilmWideResNet, channels: int) -> None:
        super().__init__()
        film, dropout = config.film, config.dropout
        self.stem = _conv(channels, config.width, 3)
        self.blocks = nn.ModuleList(WideBlock(*shape, film, dropout) for shape in config.block_shapes())
        self.norm = ToldNorm(config.feature_count, film, residual=False)

    def forward(self, h: Tensor, told: Told | None) -> Tensor:
        h = self.stem(h)
        for block in self.blocks:
            h = block(h, told)
        return relu(self.norm(h, told), inplace=True).mean(dim=(2, 3))


Trunk = Residual | WideResidual


def _network(
    trunk: Trunk, config: FilmResNet | FilmWideResNet, classes: int, normalisation: Normalisation
) -> Classifier:
    head = nn.Linear(config.feature_count, classes)
    if config.film is None:
        return Untold(trunk, head, normalisation)
    return Modulated(trunk, head, normalisation, config.film)


class Untold(Classifier):
    """A trunk that is told nothing, and a head."""

    def __init__(self, trunk: Trunk, head: nn.Linear, normalisation: Normalisation) -> None:
        super().__init__(normalisation)
        self.trunk, self.head = trunk, head

    def segments(self) -> list[nn.Module]:
        return list(self.trunk.blocks)

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.trunk(self.normalise(x), None)
        return features


class Modulated(Conditional):
    """A trunk that is told lambda, and a head."""

    def __init__(self, trunk: Trunk, head: nn.Linear, normalisation: Normalisation, film: Film) -> None:
        super().__init__(normalisation)
        self.trunk, self.head = trunk, head
        self.encoding = Encoding(film)
        self.film, self.usual = film, film.usual

    def segments(self) -> list[nn.Module]:
        return list(self.trunk.blocks)

    def given(self, condition: Tensor | float) -> Classifier:
        """ConfigError for a number outside of those that the network was made for."""
        low, high = self.film.values[0], self.film.values[-1]
        if not isinstance(condition, Tensor) and not low <= condition <= high:
            raise ConfigError(
                f"condition {condition:g}: the network is told numbers from {low:g} to {high:g}"
            )
        return super().given(condition)

    def features_given(self, x: Tensor, condition: Tensor) -> Tensor:
        x, codes = self.normalise(x), self.encoding(condition)
        features: Tensor
        if not self.film.dual_norm:
            features = self.trunk(x, Told(codes, 0))
            return features
        # Images with lambda = 0 come first, so that batch norms cut the batch instead of gathering from it.
        # How many there are is looked at once per pass, for which the device is waited for.
        other = condition != 0
        zeros = len(x) - int(other.sum())
        if zeros in (0, len(x)) or not other[:zeros].any():
            features = self.trunk(x, Told(codes, zeros))
            return features
        order = other.to(torch.uint8).argsort(stable=True)
        features = self.trunk(x[order], Told(codes[order], zeros))
        return features[order.argsort()]
