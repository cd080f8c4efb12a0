"""A network that looks at the whole batch, for attacks that leave images out as they fall."""

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
        found = [
            self.network.features(torch.cat([part, self.company[len(part) :].to(part.dtype)]))[: len(part)]
            for part in x.split(len(self.company))
        ]
        return torch.cat(found)
