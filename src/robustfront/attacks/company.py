"""A network that looks at the whole batch, for attacks that leave images out as they fall."""

from collections.abc import Callable

import torch
from torch import Tensor

from robustfront.models.classifier import Classifier
from robustfront.models.view import View


class InCompany(View):
    """Sees images (n, C, H, W), any number of them, in batches of the size of `company` (B, C, H, W).

    Where images are left of which no batch can be made, the last ones of the company fill it up. They are as
    the company was at first, so what is found of an image is found beside others than those that it is
    finally judged beside.
    """

    def __init__(self, network: Classifier, company: Tensor) -> None:
        super().__init__(network)
        self.company = company

    def features(self, x: Tensor) -> Tensor:
        return self._in_batches(self.network.features, x)

    def forward(self, x: Tensor) -> Tensor:
        return self._in_batches(self.network, x)

    def _in_batches(self, passes: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        size = len(self.company)
        batches = [(part, self.company[len(part) :].to(part.dtype)) for part in x.split(size)]
        return torch.cat([passes(torch.cat([part, rest]))[: len(part)] for part, rest in batches])
