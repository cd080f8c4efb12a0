"""Learning rate, and momentum, along a training: one file per idea.

A schedule is a pure function of the position, so a resume needs no state of it.
"""

from robustfront.config.registry import read_package
from robustfront.config.schedules.base import Position, Schedule, ScheduleConfig, schedules

__all__ = ["Position", "Schedule", "ScheduleConfig", "schedules"]

read_package(__path__, __name__)
