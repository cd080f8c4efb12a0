"""The nuclear norm of what an attack does to logits, of images that withstand it and of images that fall."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Seed
from robustfront.config.schema import Ascent, Threat


@analyses.register
class NuclearNorms(AnalysisConfig):
    """Nuclear norms of f(x') - f(x), of batches of robust and of fallen images (S004, Figure 3a)."""

    made_by: ClassVar[str] = "robustfront.analysis.nuclear_norms:analyse"

    kind: Literal["nuclear-norms"] = "nuclear-norms"
    threat: Threat
    attack: Ascent
    per_batch: Count = Field(64, description="images in each batch, all of them robust, or all fallen")
    images: Count = Field(10000, description="so many test images, or all; drawn by `seed`")
    seed: Seed = Field(0, description="draws the images and the attack's start")

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        return {"attack": (self.attack, self.threat)}

    def passes(self, images: int) -> float:
        return min(images, self.images) * (2 + 2 * self.attack.steps * self.attack.restarts)
