"""What a training method is, and the registry that finds it by name.

A method file imports this module, declares its parameters, and registers one class. It must not import torch at
module level (annotations aside): every command reads all method files to check params.yaml, and torch takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from robustfront.config.schema import Ascent, Config, Threat
from robustfront.config.validation import did_you_mean
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from robustfront.data.store import Split
    from robustfront.models import Classifier
    from robustfront.models.nullspace import NullSpace


class AdversarialParams(Config):
    """What every method with a training attack has; the scale gives both where a run does not."""

    threat: Threat
    attack: Ascent
    attack_mode: Literal["eval", "train"] = Field(
        "eval", description="batch norm while attacking: running statistics, or the batch's"
    )


@dataclass(frozen=True)
class Setting:
    """What a method is given once, before the first step."""

    model: Classifier
    null_space: NullSpace | None = None


@dataclass
class Losses:
    """The outcome of a method's forward passes. `parts` are scalars that add up to the loss of the step."""

    parts: dict[str, Tensor]
    clean_logits: Tensor | None = None
    adversarial_logits: Tensor | None = None

    @property
    def total(self) -> Tensor:
        return sum(self.parts.values())  # type: ignore[return-value]


class Method:
    """One way of making a training step. Subclasses override what their paper changes.

    The loop calls `start_epoch`, then for each batch: `craft` -> `losses` -> `combine` -> the optimiser's step
    -> `after_step`; and `diagnostics` at the end of each epoch. Images are floats in [0, 1], (B, C, H, W).
    """

    Params: ClassVar[type[Config]]
    budget: ClassVar[Literal["standard", "adversarial"]] = "adversarial"
    needs_null_space: ClassVar[bool] = False

    def __init__(self, params: Any, setting: Setting) -> None:
        self.params = params
        self.model = setting.model
        if self.needs_null_space and setting.null_space is None:
            raise ConfigError(
                f"method '{type(self).__name__.lower()}' needs `init`: its projector comes from that run"
            )

    @classmethod
    def units(cls, params: Any) -> float:
        """Cost of a training step per image, in forward passes (backward to the input 1, to all weights 2)."""
        raise NotImplementedError

    def start_epoch(self, epoch: int, validation: Split, generator: torch.Generator) -> None:
        """Called before the first step of epoch `epoch` (from 0), with the validation images; a resume in mid-epoch skips it."""

    def craft(self, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor | None:
        """The adversarial images of this step; None where the method uses none."""
        return None

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor) -> Losses:
        """Forward passes in train mode."""
        raise NotImplementedError

    def combine(self, losses: Losses) -> None:
        """Writes the gradients of the parameters."""
        losses.total.backward()

    def after_step(self) -> None:
        """Called after the optimiser changed the weights."""

    def diagnostics(self) -> dict[str, float]:
        """Scalars of the epoch that just ended, for history.csv. Reading them resets them."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Whatever else an exact resume in mid-epoch needs."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""


@dataclass(frozen=True)
class Entry:
    name: str
    method: type[Method]
    source: str
    label: Callable[[Any], str]

    @property
    def summary(self) -> str:
        return (self.method.__doc__ or "").strip().split("\n")[0]


@dataclass
class Registry:
    entries: dict[str, Entry] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Entry:
        try:
            return self.entries[name]
        except KeyError:
            raise ConfigError(f"unknown method '{name}'{did_you_mean(name, self.entries)}") from None


registry = Registry()


def register(
    name: str, *, source: str, label: Callable[[Any], str] | None = None
) -> Callable[[type[Method]], type[Method]]:
    """Class decorator that makes a `Method` known under `name`.

    `source` is the paper; `label(params)` gives the readable part of a run's directory name.
    """

    def add(method: type[Method]) -> type[Method]:
        known = registry.entries.get(name)
        if known is not None and known.method.__module__ != method.__module__:
            raise ConfigError(
                f"method '{name}' is defined twice: in {known.method.__module__} and {method.__module__}"
            )
        registry.entries[name] = Entry(name, method, source, label or (lambda params: name.replace("_", "-")))
        return method

    return add
