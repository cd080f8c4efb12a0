"""What is computed from trained models beside their evaluation: one typed model per kind of analysis.

An analysis is listed under `analyses:` of a scale. It is done on each of its `runs` that the scale has, once
per data set, for the scale's first seed. Lengths are in pixel units or in those of a threat model's space.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from robustfront.config.quantities import Count, Length, Seed
from robustfront.config.schema import Ascent, Config, Threat

Position = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class _Analysis(Config):
    """What every analysis has. `needs_start`: it compares a run with the one it starts from."""

    needs_start: ClassVar[bool]

    runs: tuple[str, ...] = Field(
        min_length=1, description="names under `runs`; those that the scale leaves out are skipped"
    )
    batch_size: Count = Field(1000, description="images per forward pass")


class LandscapeAnalysis(_Analysis):
    """Loss surfaces around fixed test images (S000, Figure 6)."""

    needs_start: ClassVar[bool] = False

    kind: Literal["landscape"] = "landscape"
    images: Count = Field(8, description="so many test images, or all; drawn by `seed`")
    points: Count = Field(
        41, description="grid points along each axis; odd, so that the image is one of them"
    )
    span: Length = Field(description="largest offset along an axis, in every pixel, in pixel units")
    seed: Seed = Field(0, description="draws images and random directions, the same for every model")

    @model_validator(mode="after")
    def points_are_odd(self) -> "LandscapeAnalysis":
        if self.points % 2 == 0 or self.points < 3:
            raise ValueError(
                f"points {self.points}: must be odd and 3 or more, so that the image is among them"
            )
        return self


class NullSpaceAnalysis(_Analysis):
    """A run's features and logits against the null space of its first head (S000, Figure 3, Eq. 22)."""

    needs_start: ClassVar[bool] = True

    kind: Literal["null-space"] = "null-space"
    images: Count = Field(500, description="so many test images, or all; drawn by `seed`")
    threat: Threat
    attack: Ascent
    seed: Seed = Field(0, description="draws the images and the attack's start")


class PathAnalysis(_Analysis):
    """The way of one image under plain and under projected attack steps (S000, Figure 2b)."""

    needs_start: ClassVar[bool] = True

    kind: Literal["path"] = "path"
    image: Position = Field(0, description="which test image, from 0")
    points: Count = Field(41, description="grid points along each axis of the surface")
    threat: Threat
    attack: Ascent
    seed: Seed = Field(0, description="draws the attack's start")


Analysis = Annotated[
    LandscapeAnalysis | NullSpaceAnalysis | PathAnalysis,
    Field(discriminator="kind"),
]
