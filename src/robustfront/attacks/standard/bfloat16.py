"""A network in bfloat16, to search with."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from robustfront.models import Classifier


class Bfloat16(nn.Module):
    """A copy of a classifier whose convolutions and linear layers, all but the head, compute in bfloat16.

    Their weights are converted once: autocast alone would convert frozen weights in each forward pass. Batch
    norms keep float32 statistics, and the head is left alone, so that small differences of logits survive.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for layer in self.model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer is not self.model.head:
                layer.to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) in float32 of images (B, C, H, W) in [0, 1]."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            features = self.model.features(x)
        logits: Tensor = self.model.head(features.float())
        return logits
