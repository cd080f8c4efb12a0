"""MI-FGSM (Dong et al. 2018, arXiv 1710.06081)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.attacks.base import EvaluationAttack, attacks
from robustfront.config.quantities import Count, Length, NonNegative, length
from robustfront.config.schema import Ascent


@attacks.register
class MIFGSMEvaluation(EvaluationAttack):
    """Steps along a running sum of gradients, each over its l1 norm: g <- decay g + gradient / |gradient|_1.

    The norm is that in the threat's space. Without a start, `steps` of `step_size` cannot lead further than
    their product.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.mifgsm:attack"

    kind: Literal["mifgsm"] = "mifgsm"
    steps: Count
    step_size: Length
    decay: NonNegative = Field(1.0, description="of the sum of gradients; 0: plain steepest ascent")
    start: Literal["none", "uniform"] = Field("none", description="none, or uniform in the ball")

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.steps}"

    @property
    def ascent(self) -> Ascent:
        """Its start and its steps, without the sum."""
        return Ascent(steps=self.steps, step_size=self.step_size, start=self.start)

    @property
    def ascents(self) -> Mapping[str, Ascent]:
        return {"": self.ascent}

    @property
    def words(self) -> str:
        start = "" if self.start == "none" else f", {self.start} start"
        return f"{self.steps} steps of {length(self.step_size)}, decay {length(self.decay)}{start}"

    def passes(self, images: int) -> float:
        return images * 2 * self.steps
