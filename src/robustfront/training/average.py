"""Exponential moving average of weights (Izmailov et al. 2018 in its exponential form)."""

import torch
from torch import Tensor, nn


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights after every step; batch-norm buffers are copied, not averaged."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in model.state_dict().items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        parameters = dict(model.named_parameters())
        torch._foreach_lerp_(
            [self.values[name] for name in parameters],
            [p.detach() for p in parameters.values()],
            1 - self.decay,
        )
        for name, buffer in model.named_buffers():
            self.values[name].copy_(buffer)
