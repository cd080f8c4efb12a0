"""Margins, probabilities and losses of single images, of the test and of training."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Seed


@analyses.register
class ConfidenceAnalysis(AnalysisConfig):
    """How sure a network is of images as they are, on test and training images."""

    made_by: ClassVar[str] = "robustfront.analysis.confidence:analyse"
    needs_train: ClassVar[bool] = True

    kind: Literal["confidence"] = "confidence"
    images: Count = Field(10_000, description="so many images of each split, or all; drawn by `seed`")
    seed: Seed = 0

    def passes(self, images: int) -> float:
        return 2 * min(images, self.images)
