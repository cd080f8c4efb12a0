"""FAB (Croce & Hein 2020, arXiv 1907.02044) as an attack of its own."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.attacks.base import EvaluationAttack, attacks
from robustfront.config.quantities import Count


@attacks.register
class FABEvaluation(EvaluationAttack):
    """Walks along the boundary, back towards the image, until a wrong point lies within the ball.

    AutoAttack's third part is the one with 100 steps and 9 targets. No random number is drawn.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.fab:attack"
    respects_any_clip: ClassVar[bool] = False

    kind: Literal["fab"] = "fab"
    steps: Count = 100
    targets: Count | None = Field(
        None,
        description="T-FAB: to each of so many classes in turn, the likeliest wrong ones of the clean image; "
        "null: in each step to the class whose boundary is the nearest",
    )

    @property
    def leaves_out(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"{self.kind}-t-{self.steps}" if self.targets else f"{self.kind}-{self.steps}"

    @property
    def words(self) -> str:
        boundary = f"to {self.targets} classes in turn" if self.targets else "to the nearest class"
        return f"{self.steps} steps along the boundary {boundary}"

    def passes(self, images: int) -> float:
        """Untargeted: of ten classes, each with a gradient of its own."""
        if self.targets:
            return images * (1 + 3 * self.steps * self.targets)
        return images * (2 + 10) * self.steps
