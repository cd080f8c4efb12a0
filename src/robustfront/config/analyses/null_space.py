"""Features and logits against the null space of a head."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Seed
from robustfront.config.schema import Ascent, Threat


@analyses.register
class NullSpaceAnalysis(AnalysisConfig):
    """A run's features and logits against the null space of its first head (S000, Figure 3, Eq. 22)."""

    made_by: ClassVar[str] = "robustfront.analysis.null_space:analyse"
    needs_start: ClassVar[bool] = True

    kind: Literal["null-space"] = "null-space"
    images: Count = Field(500, description="so many test images, or all; drawn by `seed`")
    threat: Threat
    attack: Ascent
    seed: Seed = Field(0, description="draws the images and the attack's start")

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        return {"attack": (self.attack, self.threat)}

    def passes(self, images: int) -> float:
        # Features and logits of two models, two attacks.
        return min(images, self.images) * (5 + 2 * 2 * self.attack.steps * self.attack.restarts)
