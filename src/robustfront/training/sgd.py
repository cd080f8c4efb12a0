"""SGD with momentum, on torch's functional form of it.

torch.optim.SGD itself would do, but constructing it imports torch's compiler, which takes 1 to 3 s.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from robustfront.config import schema


class SGD:
    """v <- m v + d with d = g + weight_decay w; then w <- w - lr v or, if Nesterov, w <- w - lr (d + m v).

    The update of torch.optim.SGD, bit for bit, and its layout of `param_groups` and `state`. Biases and
    batch-norm parameters are a group of their own, without decay unless `decay_norm_and_bias`. v starts at 0.
    """

    def __init__(self, model: nn.Module, settings: schema.SGD) -> None:
        matrices = [p for p in model.parameters() if p.ndim > 1]
        vectors = [p for p in model.parameters() if p.ndim <= 1]
        shared = {"lr": settings.lr, "momentum": settings.momentum, "nesterov": settings.nesterov}
        vector_decay = settings.weight_decay if settings.decay_norm_and_bias else 0.0
        self.param_groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": settings.weight_decay, **shared},
            {"params": vectors, "weight_decay": vector_decay, **shared},
        ]
        self.state: dict[Tensor, dict[str, Tensor]] = {
            p: {"momentum_buffer": torch.zeros_like(p)} for p in model.parameters()
        }

    def set_rate(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr

    def zero_grad(self) -> None:
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters that have a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            buffers: list[Tensor | None] = [self.state[p]["momentum_buffer"] for p in moved]
            sgd(
                moved,
                [p.grad for p in moved],
                buffers,
                foreach=True,
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=group["lr"],
                dampening=0.0,
                nesterov=group["nesterov"],
                maximize=False,
            )
