"""Exponential moving averages of the weights along a training."""

import copy

import torch

from robustfront.methods.base import Average
from robustfront.models import Classifier


class WeightAverage:
    """What `settings` describe, of the weights of `model`.

    Its own `model` holds the average, in eval mode. How far it has come is told by the position in the
    training, so there is nothing to remember but the average itself.
    """

    def __init__(self, model: Classifier, settings: Average) -> None:
        self.settings = settings
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Classifier, epoch: int, steps_per_epoch: int, step: int) -> None:
        """Follows `model` after step `step` (from 0) of `epoch`."""
        decay = self._decay((epoch - self.settings.start) * steps_per_epoch + step)
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
        if self.settings.buffers == "copied":  # few kernels' work: it is done after every step
            torch._foreach_copy_(list(self.model.buffers()), list(model.buffers()))
            return
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            if buffer.is_floating_point():
                average.lerp_(buffer, 1 - decay)
            else:
                average.copy_(buffer)

    def _decay(self, steps: int) -> float:
        """After so many steps of averaging; below 0: before its start."""
        if steps < 0 or (steps == 0 and self.settings.begins == "first-step"):
            return 0.0
        ramp = self.settings.ramp
        return self.settings.decay if ramp is None else min(self.settings.decay, (1 + steps) / (ramp + steps))
