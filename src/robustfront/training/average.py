"""Exponential moving average of the weights along a training."""

import copy

import torch

from robustfront.models import Classifier


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights after every step, from the initial weights on.

    `model` holds the average, in eval mode. Batch-norm statistics are copied, not averaged.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Classifier) -> None:
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - self.decay)
        torch._foreach_copy_(list(self.model.buffers()), list(model.buffers()))
