"""Gradients of a linear model, image by image."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Length, Positive, Seed


@analyses.register
class LinearConflict(AnalysisConfig):
    """Clean and adversarial gradients of a linear model of two classes in closed form (S001, Figure 2)."""

    made_by: ClassVar[str] = "robustfront.analysis.linear_conflict:analyse"

    kind: Literal["linear-conflict"] = "linear-conflict"
    images: Count = Field(500, description="so many test images are shown; numbers are of all")
    delta: Length = Field(description="radius in every pixel")
    perplexity: Positive = Field(30.0, description="of t-SNE")
    seed: Seed = 0

    def passes(self, images: int) -> float:
        return 2.0 * images
