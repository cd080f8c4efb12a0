"""The same rate throughout."""

from typing import Literal

from robustfront.config.schedules.base import Position, ScheduleConfig, schedules


@schedules.register
class ConstantSchedule(ScheduleConfig):
    kind: Literal["constant"] = "constant"

    def rate_at(self, peak: float, at: Position) -> float:
        return peak
