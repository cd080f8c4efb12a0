"""Parameters in groups, each with its learning rate, momentum and weight decay."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from robustfront.config.optimizers import OptimizerConfig
from robustfront.config.validation import did_you_mean
from robustfront.errors import ConfigError


class GroupedOptimizer:
    """What the optimisers share. `param_groups` and `state` are laid out as in torch.optim.

    Biases and batch-norm parameters are groups of their own, without decay unless `decay_norm_and_bias`;
    parameters that a pattern of `groups` fits have their multiple of the rate, `factor`. ConfigError for a
    pattern that fits none.

    A subclass names its state (`kept`) and defines `begun` and `move`.
    """

    kept: ClassVar[dict[str, str]]
    """Group of a checkpoint -> the key of a parameter's state that it holds."""

    def __init__(self, model: nn.Module, settings: OptimizerConfig) -> None:
        self.settings = settings
        self.state: dict[Tensor, dict[str, Tensor]] = {p: self.begun(p) for p in model.parameters()}
        self.param_groups = [group for group in self._groups(model) if group["params"]]
        self.set_rate(settings.lr)

    def begun(self, parameter: Tensor) -> dict[str, Tensor]:
        """A parameter's state before the first step."""
        raise NotImplementedError

    def move(self, group: dict[str, Any], moved: list[Tensor], gradients: list[Tensor]) -> None:
        """Takes a step with the parameters `moved` of a group."""
        raise NotImplementedError

    def set_rate(self, lr: float, momentum: float | None = None) -> None:
        """The rate of the next steps and, unless None, their momentum."""
        for group in self.param_groups:
            group["lr"] = lr * group["factor"]
            if momentum is not None:
                group["momentum"] = momentum

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters that have a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if moved:
                self.move(group, moved, [p.grad for p in moved])

    def tensors(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """The whole state by group of a checkpoint and name of the parameter; live."""
        return {
            group: {name: self.state[p][key] for name, p in model.named_parameters()}
            for group, key in self.kept.items()
        }

    def _groups(self, model: nn.Module) -> Iterator[dict[str, Any]]:
        patterns = self.settings.groups
        chosen: dict[str | None, list[Tensor]] = {pattern: [] for pattern in (None, *patterns)}
        for name, parameter in model.named_parameters():
            fitting = (pattern for pattern in patterns if fnmatchcase(name, pattern))
            chosen[next(fitting, None)].append(parameter)
        for pattern, found in chosen.items():
            if pattern is not None and not found:
                known = did_you_mean(pattern, dict(model.named_parameters()))
                raise ConfigError(f"training.optimizer.groups: no parameter is called {pattern!r}{known}")
            factor = 1.0 if pattern is None else patterns[pattern]
            decay = self.settings.weight_decay
            yield self._group([p for p in found if p.ndim > 1], factor, decay)
            spared = decay if self.settings.decay_norm_and_bias else 0.0
            yield self._group([p for p in found if p.ndim <= 1], factor, spared)

    def _group(self, parameters: list[Tensor], factor: float, decay: float) -> dict[str, Any]:
        own = self.settings.model_dump(exclude={"kind", "groups", "decay_norm_and_bias"})
        return own | {"params": parameters, "factor": factor, "weight_decay": decay}
