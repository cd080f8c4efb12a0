"""A linear rise to the peak, then a linear fall to 0 (Smith & Topin 2019)."""

from typing import Literal

from pydantic import Field

from robustfront.config.lasting import added
from robustfront.config.quantities import ProperFraction, Share
from robustfront.config.schedules.base import Position, Stepwise, schedules, warming_up


@schedules.register
class OneCycleSchedule(Stepwise):
    """Linear rise to the peak, then linear fall to 0; momentum stays put unless it is given."""

    kind: Literal["one-cycle"] = "one-cycle"
    warmup: ProperFraction = Field(0.3, description="fraction of the training that the rise takes")
    momentum: tuple[Share, Share] | None = added(
        None, before=None, description="momentum where the rate is 0, and at its peak; linear between"
    )

    def rate_at(self, peak: float, at: Position) -> float:
        at = self.followed(at)
        return warming_up(peak, at, self.warmup) if at.share < self.warmup else peak * self._left(at)

    def momentum_at(self, at: Position) -> float | None:
        if self.momentum is None:
            return None
        at = self.followed(at)
        low, high = self.momentum
        height = at.share / self.warmup if at.share < self.warmup else self._left(at)
        return low + (high - low) * height

    def _left(self, at: Position) -> float:
        """The share of the fall that is to come."""
        return 1 - (at.share - self.warmup) / (1 - self.warmup)
