"""Half a cosine from the peak to 0 (Loshchilov & Hutter 2017), after a warm-up."""

import math
from typing import Literal

from pydantic import Field

from robustfront.config.quantities import Share
from robustfront.config.schedules.base import Position, Stepwise, schedules, warming_up


@schedules.register
class CosineSchedule(Stepwise):
    """peak * (1 + cos(pi s)) / 2, where s is the share done of what comes after the warm-up."""

    kind: Literal["cosine"] = "cosine"
    warmup: Share = Field(0.0, description="fraction of the training with a linear rise from 0")

    def rate_at(self, peak: float, at: Position) -> float:
        at = self.followed(at)
        if at.share < self.warmup:
            return warming_up(peak, at, self.warmup)
        s = (at.share - self.warmup) / (1 - self.warmup)
        return peak * (1 + math.cos(math.pi * s)) / 2
