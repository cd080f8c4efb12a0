"""Networks that are told something beside the image: one network for many trade-offs (Wang et al. 2020)."""

import torch
from torch import Tensor, nn

from robustfront.models.classifier import Classifier


class Conditional(Classifier):
    """A network whose features depend on a number per image; `usual` is assumed where none is given."""

    usual: float

    def features_given(self, x: Tensor, condition: Tensor) -> Tensor:
        """Features (B, D) of images (B, C, H, W) under the condition (B,) of each."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        return self.given(self.usual).features(x)

    def given(self, condition: Tensor | float) -> Classifier:
        return _Given(self, condition)


class _Given(Classifier):
    """A view of a conditional network: its parameters, buffers and mode, and a condition."""

    def __init__(self, network: Conditional, condition: Tensor | float) -> None:
        nn.Module.__init__(self)  # the normalisation is the network's
        self.network, self.condition = network, condition
        self.training = network.training

    @property
    def mean(self) -> Tensor:  # type: ignore[override]
        return self.network.mean

    @property
    def std(self) -> Tensor:  # type: ignore[override]
        return self.network.std

    @property
    def head(self) -> nn.Linear:  # type: ignore[override]
        return self.network.head

    def segments(self) -> list[nn.Module]:
        return self.network.segments()

    def features(self, x: Tensor) -> Tensor:
        condition = torch.as_tensor(self.condition, dtype=x.dtype, device=x.device)
        return self.network.features_given(x, condition.expand(len(x)))
