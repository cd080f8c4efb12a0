"""SGD with momentum, on torch's functional form of it.

torch.optim.SGD itself would do, but constructing it imports torch's compiler, which takes 1 to 3 s.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from robustfront.training.optimizers.base import GroupedOptimizer


class SGD(GroupedOptimizer):
    """v <- m v + d with d = g + weight_decay w; then w <- w - lr v or, if Nesterov, w <- w - lr (d + m v).

    The update of torch.optim.SGD, bit for bit. v starts at 0.
    """

    kept: ClassVar[dict[str, str]] = {"momentum": "momentum_buffer"}

    def begun(self, parameter: Tensor) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(parameter)}

    def move(self, group: dict[str, Any], moved: list[Tensor], gradients: list[Tensor]) -> None:
        buffers: list[Tensor | None] = [self.state[p]["momentum_buffer"] for p in moved]
        sgd(
            moved,
            gradients,
            buffers,
            foreach=True,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=group["nesterov"],
            maximize=False,
        )
