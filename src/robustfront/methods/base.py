"""What a training method is, and the registry that finds it by name.

A method file imports this module, declares its parameters, and registers one class. It must not import torch
at module level (annotations aside): every command reads all method files to check params.yaml, and torch
takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from robustfront.config.images import Augmentation
from robustfront.config.lasting import require_lasting
from robustfront.config.registry import Registry
from robustfront.config.runs import RunEntry
from robustfront.config.schema import Ascent, Config, MovingAverage, Threat, Training
from robustfront.errors import ConfigError
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
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

    `optimizer` is of the kind that `training.optimizer` names; it has the rates of a step before `craft` is
    called. `validation`: those images that the method may look at (`Method.learns_from_validation`).
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


@dataclass(frozen=True)
class Average:
    """average <- d average + (1 - d) weights after every step, begun as the initial weights.

    d is `decay` or, with a `ramp`, min(decay, (1 + n) / (ramp + n)) after n steps of averaging. In the epochs
    before `start` it is a copy of the weights. Batch-norm statistics are copied or averaged likewise.
    With `begins` `first-step` it is the weights after the first step, instead of the initial ones.
    """

    decay: float
    ramp: float | None = None
    start: int = 0
    buffers: Literal["copied", "averaged"] = "copied"
    begins: Literal["initial", "first-step"] = "initial"

    @classmethod
    def of(cls, ema: float | MovingAverage) -> Average:
        """What `training.ema` says."""
        if isinstance(ema, float):
            return cls(ema)
        return cls(ema.decay, ema.ramp, ema.start, ema.buffers, ema.begins)


class Method:
    """One way of making a training step. Subclasses override what their paper changes.

    The loop calls `attach` once; at each epoch `start_epoch`, then for each batch `gradients` -> the
    optimiser's step -> `after_step`, and at the end `end_epoch`, before the weights are judged, and
    `diagnostics`. `gradients` is `craft` -> `losses` -> `combine`. Images are floats in [0, 1], (B, C, H, W).

    Where memory runs out in `gradients` it is called again, on the weights, buffers, `sums` and `state` of
    before. Weights that are to be others for a while are changed by `perturbation.perturbed`.
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
    def units(cls, params: Any) -> float | None:
        """Cost of a training step per image in forward passes (a backward pass: 1 to the input, 2 to all).

        None: nobody knows, and a plan shows `?`.
        """
        return None

    @classmethod
    def validation_units(cls, params: Any) -> float:
        """Cost of `start_epoch` and `diagnostics` per validation image that it gets, in forward passes."""
        return 0

    @classmethod
    def ascents(cls, params: Any, judged: Threat | None) -> Mapping[str, tuple[Ascent, Threat]]:
        """Key of the run -> a gradient ascent that it makes, and its ball; plans warn if it misses the ball.

        `judged`: the threat model of `training.validation`.
        """
        return {"attack": (params.attack, params.threat)} if isinstance(params, AdversarialParams) else {}

    @classmethod
    def learns_from_validation(cls, params: Any) -> bool:
        """Whether it learns from validation images: it gets half of them, the others select the model."""
        return False

    @classmethod
    def replays(cls, params: Any) -> int:
        """How many steps in a row are made on each augmented batch."""
        return 1

    @classmethod
    def averages(cls, params: Any) -> Mapping[str, Average]:
        """Averages of the weights that hooks find in `at.averages`, by name.

        There is `ema` besides, where `training.ema` asks for it: the one that is judged and kept.
        """
        return {}

    def attach(self, surroundings: Surroundings) -> None:
        """Called once, before everything else, a resume included."""

    def start_epoch(self, validation: Split, at: Moment) -> None:
        """Called before the first step of an epoch, with the validation images that it may look at.

        A resume in mid-epoch skips it: what it leaves behind belongs into `state`.
        """

    def condition(self, y: Tensor, at: Moment) -> Tensor | None:
        """What the network is told of each image of the batch, (B,), for `model.given(at.condition)`."""
        return None

    def gradients(self, x: Tensor, y: Tensor, at: Moment) -> Losses:
        """Writes the gradients of the batch, as `combine` does, and returns its losses.

        The model is in train mode, no parameter has a gradient.
        """
        x_adv = at.crafted(self.craft, x, y)
        with at.forward():
            losses = self.losses(x, x_adv, y, at)
        self.combine(losses, at)
        return losses

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor | None:
        """The adversarial images of this step, detached; None where the method uses none.

        The model is in train mode before; afterwards the loop brings it back to it.
        """
        return None

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        """Forward passes in train mode."""
        raise NotImplementedError

    def combine(self, losses: Losses, at: Moment) -> None:
        """Writes the gradients of the parameters: those of the whole batch, in every process."""
        at.backward(losses.total)

    def parts_gradients(self, losses: Losses, at: Moment) -> dict[str, dict[str, Tensor]]:
        """Part of the loss -> parameter -> its gradient over the whole batch, the same in every process.

        For a `combine` that mixes them, which then leaves the outcome to `write_gradients`.
        """
        weights = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        found: dict[str, dict[str, Tensor]] = {}
        for name, part in losses.parts.items():
            last = len(found) == len(losses.parts) - 1
            own = at.gradients(part, list(weights.values()), keep_graph=not last)
            found[name] = dict(zip(weights, own, strict=True))
        return found

    def write_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        """Gives the parameters these gradients, by name; the others none."""
        for name, parameter in self.model.named_parameters():
            parameter.grad = gradients.get(name)

    def after_step(self, at: Moment) -> None:
        """Called after the optimiser changed the weights."""

    def end_epoch(self, at: Moment) -> None:
        """Called after the last step of an epoch, before the weights are judged; it may change them."""

    def sums(self) -> list[Tensor]:
        """What `craft` and `losses` add to, in place, for each image of an epoch; part of `state`, if any."""
        return []

    def finished(self) -> bool:
        """Whether the training ends with the epoch that just ended; asked after `end_epoch`.

        What makes it so belongs into `state`.
        """
        return False

    def diagnostics(self, at: Moment) -> dict[str, float]:
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


Methods = Registry[Entry]

methods: Methods = Registry("method", class_of=lambda entry: entry.method)
"""Those that are known, by name."""


def register(
    name: str, *, source: str, label: Callable[[Any], str] | None = None
) -> Callable[[type[Method]], type[Method]]:
    """Class decorator that makes a `Method` known under `name`.

    `source` is the paper; `label(params)` gives the readable part of a run's directory name. ConfigError if
    another class has the name; the same class again, as when its file is read twice, replaces itself. Also if
    the class has no `Params`, or a parameter that cannot be given or of which no id can be made.
    """

    def add(method: type[Method]) -> type[Method]:
        params = getattr(method, "Params", None)
        if not (isinstance(params, type) and issubclass(params, Config)):
            raise ConfigError(f"method '{name}': the class must say `Params = ...`, derived from Config")
        if taken := RunEntry.model_fields.keys() & params.model_fields.keys():
            raise ConfigError(f"method '{name}': '{min(taken)}' is a key of every run; rename the parameter")
        try:
            require_lasting(params)
        except ConfigError as error:
            raise ConfigError(f"method '{name}': {error}") from None
        methods.add(name, Entry(name, method, source, label or (lambda params: name.replace("_", "-"))))
        return method

    return add
