"""Attacks that ascend a norm of the change of a batch's logits, on batches of one class each."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Seed
from robustfront.config.schema import Ascent, Threat


@analyses.register
class NormAttacks(AnalysisConfig):
    """Where attacks by the nuclear and by the Frobenius norm lead predictions (S004, Figure 2)."""

    made_by: ClassVar[str] = "robustfront.analysis.norm_attacks:analyse"

    kind: Literal["norm-attacks"] = "norm-attacks"
    threat: Threat
    attack: Ascent
    per_class: Count = Field(100, description="images of each class, which are one batch, or all there are")
    seed: Seed = Field(0, description="draws the images and the attack's start")

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        return {"attack": (self.attack, self.threat)}

    def passes(self, images: int) -> float:
        """Of ten classes; both attacks, and the clean and the attacked images."""
        return min(images, 10 * self.per_class) * (3 + 2 * 2 * self.attack.steps)
