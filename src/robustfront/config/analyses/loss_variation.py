"""By how much an attack can raise the loss of single images."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Distinct, Length, Seed
from robustfront.config.schema import Ascent, Threat


@analyses.register
class LossVariationAnalysis(AnalysisConfig):
    """The largest rise of the loss within several radii, of test images."""

    made_by: ClassVar[str] = "robustfront.analysis.loss_variation:analyse"

    kind: Literal["loss-variation"] = "loss-variation"
    images: Count = Field(1000, description="so many test images, or all; drawn by `seed`")
    threat: Threat = Field(description="of which `radii` replace eps")
    radii: Distinct[Length]
    attack: Ascent
    seed: Seed = Field(0, description="draws the images and the attack's start")

    @property
    def threats(self) -> list[Threat]:
        """One for each radius."""
        return [self.threat.model_copy(update={"eps": eps}) for eps in self.radii]

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        return {f"attack, eps {threat.eps:.4g}": (self.attack, threat) for threat in self.threats}

    def passes(self, images: int) -> float:
        steps = (3 * self.attack.steps + 1) * self.attack.restarts
        return min(images, self.images) * (1 + len(self.radii) * steps)
