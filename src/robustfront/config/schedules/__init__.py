"""Learning rate, and momentum, along a training: one file per idea.

A schedule is a pure function of the position, so a resume needs no state of it.
"""

from robustfront.config.schedules.base import Position, ScheduleConfig
from robustfront.config.schedules.constant import ConstantSchedule
from robustfront.config.schedules.cosine import CosineSchedule
from robustfront.config.schedules.knots import KnotSchedule
from robustfront.config.schedules.one_cycle import OneCycleSchedule
from robustfront.config.schedules.step import StepSchedule

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "KnotSchedule",
    "OneCycleSchedule",
    "Position",
    "ScheduleConfig",
    "StepSchedule",
]
