"""A rate that is multiplied at milestones, perhaps after a warm-up."""

from typing import Literal

from pydantic import Field, model_validator

from robustfront.config.lasting import added
from robustfront.config.quantities import NonNegative, ProperFraction
from robustfront.config.schedules.base import Position, ScheduleConfig, schedules, warming_up


@schedules.register
class StepSchedule(ScheduleConfig):
    """peak * factor^(milestones that have been reached)."""

    kind: Literal["step"] = "step"
    milestones: tuple[NonNegative, ...] = Field(description="where lr is multiplied, in `unit`")
    factor: ProperFraction = 0.1
    unit: Literal["share", "epochs"] = added(
        "share", before="share", description="of milestones and warm-up: fractions of the training, or epochs"
    )
    warmup: NonNegative = added(0.0, before=0.0, description="length of a linear rise from 0, in `unit`")

    @model_validator(mode="after")
    def shares_are_below_one(self) -> "StepSchedule":
        if self.unit == "share" and max((*self.milestones, self.warmup)) > 1:
            raise ValueError(
                "milestones and warmup are fractions of the training; write `unit: epochs` for epochs"
            )
        return self

    def rate_at(self, peak: float, at: Position) -> float:
        t, warmup = at.share, self.warmup
        if self.unit == "epochs":
            t, warmup = at.epochs, self.warmup * at.steps_per_epoch / at.total_steps
        if t < self.warmup:
            return warming_up(peak, at, warmup)
        return peak * self.factor ** sum(t >= milestone for milestone in self.milestones)
