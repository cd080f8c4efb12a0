"""What a fully resolved run, data set or threat model consists of: one typed model each.

Everything here is immutable, refuses unknown keys and can be hashed (`identity.digest`). Units stand in
the field descriptions. Nothing in this module computes.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, Strict, model_validator

from robustfront.config.datasets import Dataset
from robustfront.config.lasting import Config, added
from robustfront.config.networks import Model
from robustfront.config.optimizers import Optimizer
from robustfront.config.quantities import (
    Condition,
    Count,
    Flag,
    Length,
    Name,
    Positive,
    ProperFraction,
    Seed,
)
from robustfront.config.schedules import Position, Schedule


# ------------------------------------------------------------------------------- attacks and threats
class Threat(Config):
    """The threat model: which perturbations count. `eps` is in units of `space`.

    `pixel`: x lies in [0, 1]. `normalised`: the ball is drawn around (x - mean) / std, so its radius in
    pixels is eps * std per channel (what S000 and CAAT do). `clip` says which box x' must stay in: `image`
    the valid pixels [0, 1]; `normalised-unit` the box [0, 1] of the *normalised* image, as CAAT's code does,
    which lifts every pixel below the channel mean up to it.
    """

    norm: Literal["linf", "l2"] = "linf"
    eps: Length
    space: Literal["pixel", "normalised"] = "pixel"
    clip: Literal["image", "normalised-unit"] = "image"

    @model_validator(mode="after")
    def eps_fits_space(self) -> "Threat":
        widest = 1 if self.space == "pixel" else 5
        if self.norm == "linf" and self.eps > widest:
            raise ValueError(
                f"eps {self.eps:g} covers every image of {self.space} space (about {widest} wide); "
                f'did you mean "{self.eps:g}/255"?'
            )
        return self

    @model_validator(mode="after")
    def clip_fits_space(self) -> "Threat":
        if self.clip == "normalised-unit" and self.space == "pixel":
            raise ValueError("clip 'normalised-unit' needs space 'normalised'")
        return self


class Ascent(Config):
    """Settings of one projected gradient ascent. Lengths are in the units of the threat's space."""

    steps: Count
    step_size: Length
    start: Literal["none", "gaussian", "sign", "uniform"] = Field(
        "uniform", description="none; start_std * N(0, 1); +-start_std, signs drawn; or uniform in the ball"
    )
    start_std: Length = Field(0.001, description="standard deviation of the gaussian or sign start")
    restarts: Count = 1
    clip_start: Flag = added(
        False,
        before=True,
        description="move the start into the ball and the box before the first gradient; false: the first "
        "gradient is taken where the noise falls",
    )


# ----------------------------------------------------------------------------------------- training
Precision = Literal["fp32", "bf16"]


class Validation(Config):
    """How an epoch is judged on the validation images; never on test images."""

    every: Count = Field(1, description="epochs between judgements; the last epoch is always judged")
    attack: Ascent | None = Field(None, description="PGD (cross entropy); null: clean accuracy only")
    threat: Threat | None = None
    conditions: tuple[Condition, ...] = added(
        (),
        before=(),
        description="what conditional networks are told in turn; columns, and so the selection, are means "
        "over these. Empty: what each takes to be usual. Others do not hear it",
    )
    beside: dict[Name, Ascent] = added(
        {},
        before={},
        description="column name -> an attack that is logged and selects nothing, such as one step, whose "
        "gap to `attack` tells of catastrophic overfitting",
    )

    @model_validator(mode="after")
    def attack_needs_threat(self) -> "Validation":
        if (self.attack is None) != (self.threat is None):
            raise ValueError("give both attack and threat, or neither")
        return self

    @model_validator(mode="after")
    def attacks_beside_have_a_ball_and_a_column(self) -> "Validation":
        if self.beside and self.threat is None:
            raise ValueError("beside: needs attack and threat")
        if taken := {"clean", "adversarial"} & self.beside.keys():
            raise ValueError(f"beside: '{min(taken)}' is a column already; choose another name")
        return self


class MovingAverage(Config):
    """average <- d average + (1 - d) weights after each step, of which the n-th, from 0, has d as below."""

    decay: ProperFraction
    ramp: Annotated[float, Strict(), Field(gt=1, allow_inf_nan=False)] | None = Field(
        None, description="d = min(decay, (1 + n) / (ramp + n)); null: d = decay"
    )
    start: Annotated[int, Strict(), Field(ge=0, le=10**9)] = Field(
        0, description="epochs before it begins; until then it is a copy of the weights"
    )
    buffers: Literal["copied", "averaged"] = added(
        "copied", before="copied", description="batch-norm statistics: those of the weights, or averaged too"
    )
    begins: Literal["initial", "first-step"] = added(
        "initial", before="initial", description="as the initial weights, or as those after the first step"
    )


def _number_if_plain(average: float | MovingAverage) -> float | MovingAverage:
    """A decay alone is written as a number: one average, one identity."""
    if isinstance(average, MovingAverage) and average == MovingAverage(decay=average.decay):
        return average.decay
    return average


class Training(Config):
    epochs: Count
    batch_size: Annotated[int, Strict()] = Field(ge=2, le=10**9, description="batch norm needs two images")
    optimizer: Optimizer
    schedule: Schedule
    ema: Annotated[ProperFraction | MovingAverage, AfterValidator(_number_if_plain)] | None = Field(
        None,
        description="decay per step of an exponential average of the weights, or a mapping that says more; "
        "null: none",
    )
    select: Literal["best", "last"] = Field(
        "best", description="weights kept: best on validation, or the last"
    )
    validation: Validation = Validation()
    precision: Precision = Field("fp32", description="autocast of the training attack and step")
    drop_last: Flag = added(
        False, before=False, description="leave out an epoch's last images where they do not fill a batch"
    )
    clip_gradients: Positive | None = added(
        None, before=None, description="largest norm of all gradients of a step together; null: any"
    )
    spectral_limit: Positive | None = added(
        None,
        before=None,
        description="singular values of convolutions and linear layers are lowered to this at the end of "
        "each epoch (Sedghi et al. 2019), of convolutions nearly; null: they are left alone",
    )

    @model_validator(mode="after")
    def what_is_limited_is_kept(self) -> "Training":
        if self.spectral_limit is not None and self.ema is not None:
            raise ValueError("spectral_limit: an average of the weights is not limited; remove ema or this")
        return self

    @model_validator(mode="after")
    def average_begins(self) -> "Training":
        if isinstance(self.ema, MovingAverage) and self.ema.start >= self.epochs:
            raise ValueError(
                f"ema.start = {self.ema.start}: the average never begins, as there are {self.epochs} epochs"
            )
        return self

    @model_validator(mode="after")
    def momentum_that_is_moved_exists(self) -> "Training":
        has_none = "momentum" not in type(self.optimizer).model_fields
        if has_none and self.schedule.momentum_at(Position(0, self.epochs, 1)) is not None:
            raise ValueError(
                f"schedule: moves the momentum, and optimizer '{self.optimizer.kind}' has no field `momentum`"
            )
        return self

    def batches(self, images: int) -> int:
        """How many an epoch of so many images has."""
        return images // self.batch_size if self.drop_last else math.ceil(images / self.batch_size)

    def seen(self, images: int) -> int:
        """How many of the images an epoch trains on."""
        return min(images, self.batches(images) * self.batch_size)


class Run(Config):
    """One method with its hyper-parameters on one data set, one model, one seed, fully resolved."""

    method: str
    params: dict[str, Any] = Field(
        description="the method's parameters, complete, as its own model dumps them"
    )
    dataset: SerializeAsAny[Dataset]
    model: Model
    training: Training
    seed: Seed
    init: str | None = Field(None, description="id of the run whose weights this one starts from")
    projector: str | None = Field(None, description="id of the null-space projector this run uses")
    rank_tolerance: ProperFraction | None = Field(None, description="of that projector")
