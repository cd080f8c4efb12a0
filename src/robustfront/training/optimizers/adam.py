"""Adam and AdamW, on torch's functional form of them (see `sgd`)."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.adam import adam

from robustfront.config.optimizers.adam import AdamW
from robustfront.training.optimizers.base import GroupedOptimizer


class Adam(GroupedOptimizer):
    """The update of torch.optim.Adam or, if the settings are of that kind, torch.optim.AdamW."""

    kept: ClassVar[dict[str, str]] = {"momentum": "exp_avg", "squares": "exp_avg_sq", "steps": "step"}

    def begun(self, parameter: Tensor) -> dict[str, Tensor]:
        zeros = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
        return zeros | {"step": torch.zeros(())}  # on the CPU, where the corrections are computed

    def move(self, group: dict[str, Any], moved: list[Tensor], gradients: list[Tensor]) -> None:
        states = [self.state[p] for p in moved]
        adam(
            moved,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=True,
            decoupled_weight_decay=isinstance(self.settings, AdamW),
            amsgrad=False,
            beta1=group["momentum"],
            beta2=group["beta2"],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["epsilon"],
            maximize=False,
        )
