"""What a fully resolved run, data set or threat model consists of: one typed model each.

Everything here is immutable, refuses unknown keys and can be hashed (`identity.digest`). Units stand in
the field descriptions. Nothing in this module computes.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, Strict, model_validator

from robustfront.config.lasting import Config, added
from robustfront.config.networks import Model
from robustfront.config.optimizers import Optimizer
from robustfront.config.quantities import (
    Count,
    Flag,
    Length,
    Name,
    Probability,
    ProperFraction,
    Seed,
)
from robustfront.config.schedules import Schedule


# --------------------------------------------------------------------------------------------- data
class Splits(Config):
    """How many images each split takes, and which. Train, validation and test never share an image."""

    train: Count | None = Field(None, description="training images; null: all that are left over")
    validation: Count = Field(description="images held out of the official training part for model selection")
    test: Literal["official"] | Count = Field(
        "official", description="the official test part, or that many of the last official training images"
    )
    test_limit: Count | None = Field(
        None, description="keep only so many test images, drawn by `seed`; null: all"
    )
    seed: Seed = Field(0, description="draws what `rule` draws, and parts of the test images")
    rule: Literal["stratified", "random", "last", "last-per-class"] = added(
        "stratified",
        before="stratified",
        description="validation images: drawn by class, or regardless of it; or the last ones of the files, "
        "or of each class in them",
    )


class CropFlip(Config):
    """Zero padding and a random crop of the image's size, then a random flip."""

    kind: Literal["crop-flip"] = added("crop-flip", before="crop-flip")
    pad: Annotated[int, Strict()] = Field(
        0, ge=0, le=16, description="zero padding in pixels before a random crop; 0: no crop"
    )
    flip: Flag = Field(False, description="random horizontal flip")


class CropFlipRotate(Config):
    """Crop and flip, then a rotation about the centre: nearest pixel, zeros where there is no image."""

    kind: Literal["crop-flip-rotate"] = "crop-flip-rotate"
    pad: Annotated[int, Strict()] = Field(0, ge=0, le=16, description="as of crop-flip")
    flip: Flag = Field(False, description="as of crop-flip")
    degrees: Annotated[float, Strict()] = Field(
        gt=0, le=180, description="the angle is drawn uniformly from -degrees to degrees"
    )


class NoAugmentation(Config):
    """Images as they are."""

    kind: Literal["none"] = "none"


def _crop_flip_unless_said(data: Any) -> Any:
    """A mapping without a kind is of the first there was."""
    return {"kind": "crop-flip", **data} if isinstance(data, Mapping) else data


Augmentation = Annotated[
    CropFlip | CropFlipRotate | NoAugmentation,
    Field(discriminator="kind"),
    BeforeValidator(_crop_flip_unless_said),
]


class Normalisation(Config):
    """Per-channel mean and standard deviation in [0, 1] pixel units; applied inside the model."""

    mean: tuple[Probability, ...] = Field(min_length=1)
    std: tuple[Annotated[float, Strict(), Field(gt=0, le=1)], ...]

    @model_validator(mode="after")
    def same_length(self) -> "Normalisation":
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels, std has {len(self.std)}")
        return self


class Dataset(Config):
    """A data set as a run sees it: where the images come from, how they are split and augmented."""

    gone: ClassVar[frozenset[str]] = frozenset({"published_as"})

    name: Name = Field(description="the key in params.yaml; part of every run's directory name")
    source: Literal["digits", "mnist", "cifar10", "svhn", "npz"]
    path: str | None = Field(
        None,
        description="npz: the file (with a checksum it may be moved without becoming another data set); "
        "otherwise a folder of original-format files to use instead of data/raw",
    )
    checksums: dict[str, str] | None = Field(
        None, description="file name -> sha256 (or md5) of hex digits; replaces the official list"
    )
    splits: Splits
    normalisation: Normalisation
    augmentation: Augmentation = CropFlip()


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


# ----------------------------------------------------------------------------------------- training
class Validation(Config):
    """How an epoch is judged on the validation images; never on test images."""

    every: Count = Field(1, description="epochs between judgements; the last epoch is always judged")
    attack: Ascent | None = Field(None, description="PGD (cross entropy); null: clean accuracy only")
    threat: Threat | None = None

    @model_validator(mode="after")
    def attack_needs_threat(self) -> "Validation":
        if (self.attack is None) != (self.threat is None):
            raise ValueError("give both attack and threat, or neither")
        return self


class Training(Config):
    epochs: Count
    batch_size: Annotated[int, Strict()] = Field(ge=2, le=10**9, description="batch norm needs two images")
    optimizer: Optimizer
    schedule: Schedule
    ema: ProperFraction | None = Field(
        None, description="decay per step of an exponential average of the weights; null: none"
    )
    select: Literal["best", "last"] = Field(
        "best", description="weights kept: best on validation, or the last"
    )
    validation: Validation = Validation()
    precision: Literal["fp32", "bf16"] = Field("fp32", description="autocast of the training attack and step")
    drop_last: Flag = added(
        False, before=False, description="leave out an epoch's last images where they do not fill a batch"
    )

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
    dataset: Dataset
    model: Model
    training: Training
    seed: Seed
    init: str | None = Field(None, description="id of the run whose weights this one starts from")
    projector: str | None = Field(None, description="id of the null-space projector this run uses")
    rank_tolerance: ProperFraction | None = Field(None, description="of that projector")
