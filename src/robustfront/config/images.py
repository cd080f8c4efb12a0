"""How the images of a data set are split, augmented and normalised."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, model_validator

from robustfront.config.lasting import Config, added
from robustfront.config.quantities import Count, Flag, Probability, Seed


class Splits(Config):
    """How many images each split takes, and which. Train, validation and test never share an image."""

    train: Count | None = Field(None, description="training images; null: all that are left over")
    validation: Count = Field(description="images held out of the official training part for model selection")
    test: Literal["official"] | Count = Field(
        "official", description="the official test part, or that many of the official training images"
    )
    held_out: Literal["last", "stratified"] = added(
        "last",
        before="last",
        description="which training images are the test where `test` is their number: the last ones of the "
        "files, or by class, drawn by `seed`",
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


class ResizedCrop(Config):
    """A part of the image drawn to its full size, as for Inception (Szegedy et al. 2015); then a flip."""

    kind: Literal["resized-crop"] = "resized-crop"
    least: Annotated[float, Strict()] = Field(
        0.08, gt=0, le=1, description="the share of the area is drawn uniformly from this to 1"
    )
    aspect: Annotated[float, Strict()] = Field(
        4 / 3, ge=1, description="width over height: drawn, by its logarithm, from 1 / aspect to aspect"
    )
    flip: Flag = Field(True, description="random horizontal flip")


class NoAugmentation(Config):
    """Images as they are."""

    kind: Literal["none"] = "none"


def _crop_flip_unless_said(data: Any) -> Any:
    """A mapping without a kind is of the first there was."""
    return {"kind": "crop-flip", **data} if isinstance(data, Mapping) else data


Augmentation = Annotated[
    CropFlip | CropFlipRotate | ResizedCrop | NoAugmentation,
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
