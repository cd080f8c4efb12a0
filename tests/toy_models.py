"""Classifiers small enough to know everything about; the linear one has closed forms."""

import torch
from torch import Tensor, nn

from robustfront.config.images import Normalisation
from robustfront.models import Classifier

NORMALISATION = Normalisation(mean=(0.5, 0.4, 0.45), std=(0.25, 0.2, 0.4))


class Linear(Classifier):
    """Logits W (x - mean) / std + b; the features are the normalised pixels."""

    def __init__(self, weight: Tensor, bias: Tensor, normalisation: Normalisation = NORMALISATION) -> None:
        super().__init__(normalisation)
        self.head = nn.Linear(weight.shape[1], weight.shape[0])
        self.head.weight.data, self.head.bias.data = weight.clone(), bias.clone()

    def features(self, x: Tensor) -> Tensor:
        return self.normalise(x).flatten(1)

    def worst_margin(self, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """max over classes k != y and over x' in [0, 1] with |x' - x| <= radius (1, C, 1, 1) of z_k - z_y."""
        margins = self(x) - self(x).gather(1, y[:, None])
        slopes = self.head.weight[None] - self.head.weight[y][:, None]
        slopes = slopes.unflatten(2, x.shape[1:]) / self.std[None]
        room = torch.where(
            slopes > 0, torch.minimum(radius, 1 - x)[:, None], -torch.minimum(radius, x)[:, None]
        )
        worst = margins + (slopes * room).sum(dim=(2, 3, 4))
        return worst.scatter(1, y[:, None], -float("inf")).amax(dim=1).detach()


class Convolutional(Classifier):
    """Convolution, batch norm, smooth non-linearity, pooling, linear head."""

    def __init__(self, classes: int = 4, normalisation: Normalisation = NORMALISATION) -> None:
        super().__init__(normalisation)
        channels = len(normalisation.mean)
        self.body = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU())
        self.head = nn.Linear(8, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.body(self.normalise(x)).mean(dim=(2, 3))


class Quantised(Linear):
    """A masked model: pixels are rounded to eight levels first, so that no gradient comes through."""

    def features(self, x: Tensor) -> Tensor:
        return super().features((x * 7).round() / 7)


def random_linear(classes: int, shape: tuple[int, int, int], seed: int = 0, norm: float = 1.0) -> Linear:
    """Rows of the weight are random with l2 norm `norm`; the bias is random too."""
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    normalisation = Normalisation(mean=NORMALISATION.mean[:channels], std=NORMALISATION.std[:channels])
    weight = torch.randn(classes, channels * height * width, generator=generator)
    weight = norm * weight / weight.norm(dim=1, keepdim=True)
    return Linear(weight, 0.05 * torch.randn(classes, generator=generator), normalisation)


def random_images(n: int, shape: tuple[int, int, int], seed: int = 1) -> Tensor:
    """Float images, uniform in [0, 1]."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


class Decoyed(Linear):
    """A masked model: one more class soaks up the gradient of the cross entropy, and is never predicted.

    Its logit is that of the largest other one less 1, plus up to a half along a direction of its own. It has
    nearly all the probability that the label leaves, so the cross entropy is ascended along that direction,
    which leads to no wrong answer. Attacks that aim at another class see through it.
    """

    def __init__(self, real: Linear, direction: Tensor) -> None:
        super().__init__(real.head.weight.data, real.head.bias.data)
        self.mean, self.std = real.mean, real.std
        self.direction = direction

    @property
    def classes(self) -> int:
        return super().classes + 1

    def forward(self, x: Tensor) -> Tensor:
        real = super().forward(x)
        pull = torch.tanh(self.normalise(x).flatten(1) @ self.direction)
        decoy = real.amax(dim=1) - 1 + pull / 2
        return torch.cat([real, decoy[:, None]], dim=1)
