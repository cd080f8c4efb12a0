"""Learning rate as a pure function of how far the training has come, so that a resume needs no scheduler state."""

import math

from robustfront.config.schema import (
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    Schedule,
    StepSchedule,
)


def learning_rate(schedule: Schedule, peak: float, step: int, total_steps: int) -> float:
    """The rate of step `step` (from 0) of `total_steps`, given the peak rate.

    step: peak * factor^(milestones passed). cosine: linear rise over `warmup`, then half a cosine to 0.
    one-cycle: linear rise over `warmup`, then linear fall to 0. Momentum is never touched (PyTorch's
    one-cycle schedulers cycle it unasked).
    """
    progress = step / total_steps
    match schedule:
        case ConstantSchedule():
            return peak
        case StepSchedule(milestones=milestones, factor=factor):
            return peak * factor ** sum(progress >= milestone for milestone in milestones)
        case CosineSchedule(warmup=warmup):
            if progress < warmup:
                return peak * (step + 1) / (warmup * total_steps + 1)
            return peak * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
        case OneCycleSchedule(warmup=warmup):
            if progress < warmup:
                return peak * (step + 1) / (warmup * total_steps + 1)
            return peak * (1 - progress) / (1 - warmup)
    raise AssertionError(schedule)
