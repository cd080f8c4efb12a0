"""Networks that are told something beside the image: one network for many trade-offs (Wang et al. 2020)."""

import torch
from torch import Tensor

from robustfront.models.classifier import Classifier
from robustfront.models.view import View


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


class _Given(View):
    """A conditional network, and a condition."""

    network: Conditional

    def __init__(self, network: Conditional, condition: Tensor | float) -> None:
        super().__init__(network)
        self.condition = condition

    def features(self, x: Tensor) -> Tensor:
        condition = torch.as_tensor(self.condition, dtype=x.dtype, device=x.device)
        return self.network.features_given(x, condition.expand(len(x)))
