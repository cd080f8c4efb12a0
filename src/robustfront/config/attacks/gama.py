"""GAMA-PGD (Sriramanan et al. 2020, arXiv 2011.14969)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from robustfront.config.attacks.base import EvaluationAttack, attacks
from robustfront.config.quantities import Count, Length, NonNegative, Positive, length
from robustfront.config.schema import Ascent


@attacks.register
class GAMAEvaluation(EvaluationAttack):
    """Ascent of max_{k != y} p_k - p_y + w |p - p_0|^2 on softmaxes p, from a start at +-eps in every pixel.

    p_0 is the softmax at that start, not at the image; w falls from `weight` to 0 in a straight line over
    `weight_steps` steps; the step is divided by `drop` at each of `drops`. The last point counts, of several
    restarts the first that falls. In l2 the start is uniform in the ball.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.gama:attack"

    kind: Literal["gama"] = "gama"
    steps: Count = 100
    step_size: Length = Field(description="before the first drop; the authors' is 2 eps (MNIST: eps)")
    drops: tuple[Count, ...] = Field((60, 85), description="steps, from 0, at which it is divided by `drop`")
    drop: Positive = 10.0
    weight: NonNegative = 50.0
    weight_steps: Count = 25
    restarts: Count = 1

    @model_validator(mode="after")
    def drops_are_steps(self) -> "GAMAEvaluation":
        if [*self.drops] != sorted({*self.drops}) or max(self.drops, default=0) >= self.steps:
            raise ValueError(f"drops: must be steps in ascending order below {self.steps}, each of them once")
        return self

    @property
    def leaves_out(self) -> bool:
        return self.restarts > 1

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.steps}"

    @property
    def ascents(self) -> Mapping[str, Ascent]:
        return {"": Ascent(steps=self.steps, step_size=self.step_size, start="sign")}

    @property
    def words(self) -> str:
        restarts = f", {self.restarts} restarts" if self.restarts > 1 else ""
        return f"{self.steps} steps of {length(self.step_size)} and less, guided margin{restarts}"

    def passes(self, images: int) -> float:
        """One forward pass at the start, besides the steps, and one to see what a further restart is for."""
        return images * (self.restarts * (2 + 2 * self.steps) - 1)
