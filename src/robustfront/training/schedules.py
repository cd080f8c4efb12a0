"""Learning rate as a pure function of the position in the training: a resume needs no scheduler state."""

import math

from robustfront.config.schema import (
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    Schedule,
    StepSchedule,
)


def learning_rate(schedule: Schedule, peak: float, step: int, total_steps: int) -> float:
    """The rate of step `step` (from 0) of `total_steps`, given the peak rate; t = step / total_steps.

    step: peak * factor^(milestones <= t). cosine: peak * (1 + cos(pi s)) / 2, where s is the share done of
    what comes after the warmup. one-cycle: peak * (1 - s). Both rise over the warmup's n = warmup *
    total_steps steps in equal parts, peak / (n + 1) each. Momentum is never touched (PyTorch's schedulers
    cycle it unasked).
    """
    t = step / total_steps
    match schedule:
        case ConstantSchedule():
            return peak
        case StepSchedule(milestones=milestones, factor=factor):
            return peak * factor ** sum(t >= milestone for milestone in milestones)
        case CosineSchedule(warmup=warmup) | OneCycleSchedule(warmup=warmup):
            if t < warmup:
                return peak * (step + 1) / (warmup * total_steps + 1)
            s = (t - warmup) / (1 - warmup)
            return peak * (1 + math.cos(math.pi * s)) / 2 if schedule.kind == "cosine" else peak * (1 - s)
