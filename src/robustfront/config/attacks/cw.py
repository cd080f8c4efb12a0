"""The l2 attack of Carlini & Wagner 2017 (arXiv 1608.04644)."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.attacks.base import EvaluationAttack, attacks
from robustfront.config.quantities import Count, NonNegative, Positive


@attacks.register
class CWEvaluation(EvaluationAttack):
    """Adam on |x' - x|^2 + c max(z_y - max_{k != y} z_k, -kappa), x' kept in the box by a tanh.

    It seeks the nearest wrong point in l2 and knows no radius: of what it passes only wrong points in the
    ball of the suite count. PGD on the same margin, which papers call CW-inf, is `pgd` with objective margin.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.cw:attack"

    kind: Literal["cw"] = "cw"
    steps: Count
    c: Positive = Field(1.0, description="weight of the margin; it is not searched for")
    kappa: NonNegative = Field(0.0, description="the margin by which an image is to be wrong")
    lr: Positive = Field(0.01, description="of Adam, in the space of the tanh")

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.steps}"

    def passes(self, images: int) -> float:
        return images * 2 * self.steps
