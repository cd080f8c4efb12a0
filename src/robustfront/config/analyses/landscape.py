"""Loss surfaces around test images."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.lasting import added
from robustfront.config.quantities import Count, Flag, Length, Seed


@analyses.register
class LandscapeAnalysis(AnalysisConfig):
    """Loss surfaces around fixed test images (S000, Figure 6)."""

    made_by: ClassVar[str] = "robustfront.analysis.landscape:analyse"

    kind: Literal["landscape"] = "landscape"
    images: Count = Field(8, description="so many test images, or all; drawn by `seed`")
    points: Count = Field(
        41, description="grid points along each axis; odd, so that the image is one of them"
    )
    span: Length = Field(description="largest offset along an axis, in every pixel, in pixel units")
    orthogonal: Flag = added(
        False, before=False, description="make the second direction orthogonal to the first"
    )
    seed: Seed = Field(0, description="draws images and random directions, the same for every model")

    @model_validator(mode="after")
    def points_are_odd(self) -> "LandscapeAnalysis":
        if self.points % 2 == 0 or self.points < 3:
            raise ValueError(
                f"points {self.points}: must be odd and 3 or more, so that the image is among them"
            )
        return self

    def passes(self, images: int) -> float:
        return min(images, self.images) * (2 * self.points**2 + 2)  # two surfaces and a gradient
