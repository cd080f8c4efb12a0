"""How far the gradients of the clean and of the adversarial loss disagree."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Distinct, Seed
from robustfront.config.schema import Ascent, Threat

Inner = Literal["pgd", "pgd-dlr", "apgd-ce", "apgd-dlr", "t-apgd-dlr"]


@analyses.register
class GradientConflict(AnalysisConfig):
    """The conflict of both gradients under several attacks, and that of two clean batches (S001, Figure 3b).

    Two batches of `images` test images each are looked at, in train mode, as a training would.
    """

    made_by: ClassVar[str] = "robustfront.analysis.gradient_conflict:analyse"
    of_batches: ClassVar[bool] = True

    kind: Literal["gradient-conflict"] = "gradient-conflict"
    images: Count = Field(256, description="in each of two batches, or half of all; drawn by `seed`")
    inner: Distinct[Inner] = Field(description="what crafts x'; APGD has steps of its own sizes")
    adversarial_loss: Literal["ce", "trades", "clp"] = "ce"
    threat: Threat
    attack: Ascent
    attack_mode: Literal["eval", "train"] = "eval"
    seed: Seed = Field(0, description="draws the images and the attacks' starts")

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        return {"attack": (self.attack, self.threat)}

    def passes(self, images: int) -> float:
        """As if each attack took two passes a step; a targeted one turns to nine classes."""
        steps = 2 * (self.attack.steps + 1)
        of_attacks = sum(9 * steps if inner.startswith("t-") else steps for inner in self.inner)
        return min(images, 2 * self.images) * (of_attacks + 6 * len(self.inner) + 3)
