"""What a training method is, and the registry that finds it by name.

A method file imports this module, declares its parameters, and registers one class. It must not import torch
at module level (annotations aside): every command reads all method files to check params.yaml, and torch
takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from robustfront.config.schema import Ascent, Augmentation, Config, Threat, Training
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


class Optimizer(Protocol):
    """The state of the loop's optimiser, laid out as in torch.optim.SGD."""

    param_groups: list[dict[str, Any]]

    @property
    def state(self) -> Mapping[Tensor, dict[str, Tensor]]: ...


@dataclass(frozen=True)
class Surroundings:
    """What the loop owns and a method may look at; the test images are not among it.

    The loop sets the rate of this step in `optimizer`, plain or Nesterov SGD, before it calls `craft`.
    """

    optimizer: Optimizer
    training: Training
    augmentation: Augmentation
    train: Split
    validation: Split


@dataclass
class Losses:
    """The outcome of a method's forward passes. `parts` are scalars that add up to the loss of the step."""

    parts: dict[str, Tensor]
    clean_logits: Tensor | None = None
    adversarial_logits: Tensor | None = None

    @property
    def total(self) -> Tensor:
        first, *others = self.parts.values()
        return sum(others, start=first)

    def weighted(self, weight: float) -> Losses:
        """The same with every part multiplied by `weight`."""
        return replace(self, parts={name: part * weight for name, part in self.parts.items()})


class Method:
    """One way of making a training step. Subclasses override what their paper changes.

    The loop calls `attach` once; at each epoch `start_epoch`, then for each batch `craft` -> `losses` ->
    `combine` -> the optimiser's step -> `after_step`, and `diagnostics` at the end. Images are floats in
    [0, 1], (B, C, H, W).
    """

    Params: ClassVar[type[Config]]
    budget: ClassVar[Literal["standard", "adversarial"]] = "adversarial"
    needs_null_space: ClassVar[bool] = False
    per_image: ClassVar[bool] = False
    """Whether a batch may be shared out to several devices, or attacked in parts where memory runs out:
    `craft` treats every image by itself (batch norm in train mode apart) and draws by `attacks.draws`, the
    parts of the loss are means over images, and what else adds up over images is among `sums`."""

    def __init__(self, params: Any, setting: Setting) -> None:
        self.params = params
        self.model = setting.model

    @classmethod
    def units(cls, params: Any) -> float:
        """Cost of a training step per image in forward passes (a backward pass: 1 to the input, 2 to all)."""
        raise NotImplementedError

    @classmethod
    def validation_units(cls, params: Any) -> float:
        """Cost of `start_epoch` and `diagnostics` per validation image, in forward passes."""
        return 0

    def attach(self, surroundings: Surroundings) -> None:
        """Called once, before everything else, a resume included."""

    def start_epoch(self, epoch: int, validation: Split, generator: torch.Generator) -> None:
        """Called before the first step of epoch `epoch` (from 0), with the validation images.

        A resume in mid-epoch skips it: what it leaves behind belongs into `state`.
        """

    def craft(self, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor | None:
        """The adversarial images of this step, detached; None where the method uses none.

        The model is in train mode before; afterwards the loop brings it back to it.
        """
        return None

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor) -> Losses:
        """Forward passes in train mode."""
        raise NotImplementedError

    def combine(self, losses: Losses) -> None:
        """Writes the gradients of the parameters."""
        losses.total.backward()

    def after_step(self) -> None:
        """Called after the optimiser changed the weights."""

    def sums(self) -> list[Tensor]:
        """What `craft` and `losses` add to, in place, for each image of an epoch; part of `state`, if any."""
        return []

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
    """A registered method: its class, the paper it is from, and the label of its runs' directory names."""

    name: str
    method: type[Method]
    source: str
    label: Callable[[Any], str]

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (self.method.__doc__ or "").strip().split("\n")[0]


@dataclass
class Registry:
    """Methods by name. ConfigError, with a suggestion, for a name that is not known."""

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

    `source` is the paper; `label(params)` gives the readable part of a run's directory name. ConfigError if
    another class has the name; the same class again, as when its file is read twice, replaces itself.
    """

    def add(method: type[Method]) -> type[Method]:
        if name in registry.entries:
            ours, theirs = (
                f"{kind.__module__}.{kind.__qualname__}" for kind in (method, registry.entries[name].method)
            )
            if ours != theirs:
                raise ConfigError(f"method '{name}' is defined twice: by {theirs} and by {ours}; rename one")
        registry.entries[name] = Entry(name, method, source, label or (lambda params: name.replace("_", "-")))
        return method

    return add
