"""Rate and momentum by knots, with straight lines or half cosines between them.

Triangular: `lr: [[0, 0], [15, 1], [30, 0]]`. Two knots at one position are a jump, so a fall that is frozen
and then cut twice (NuAT's "cyclic-step", in epochs, with the jumps where its code has them) is
`lr: [[0, 0], [40, 1], [80, 0.2], [86, 0.2], [86, 0.02], [91, 0.02], [91, 0.002]]`.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from robustfront.config.quantities import NonNegative, Share
from robustfront.config.schedules.base import Position, Stepwise, schedules


@schedules.register
class KnotSchedule(Stepwise):
    """Through knots [position, value] in order; before the first and after the last one it stays as there."""

    kind: Literal["knots"] = "knots"
    lr: Annotated[tuple[tuple[NonNegative, NonNegative], ...], Field(min_length=1)] = Field(
        description="[position, multiple of the optimiser's lr], ...; a position twice is a jump"
    )
    momentum: tuple[tuple[NonNegative, Share], ...] = Field(
        (), description="[position, momentum], ...; none: it stays put"
    )
    unit: Literal["share", "epochs"] = Field(
        "share", description="of positions: fractions of the training, or epochs"
    )
    shape: Literal["linear", "cosine"] = Field("linear", description="of the way from knot to knot")

    @model_validator(mode="after")
    def positions_are_in_order(self) -> "KnotSchedule":
        for knots in (self.lr, self.momentum):
            positions = [position for position, _ in knots]
            if positions != sorted(positions):
                raise ValueError("the positions of knots must not decrease")
            if self.unit == "share" and max(positions, default=0) > 1:
                raise ValueError("positions are fractions of the training; write `unit: epochs` for epochs")
        return self

    def rate_at(self, peak: float, at: Position) -> float:
        return peak * self._value(self.lr, at)

    def momentum_at(self, at: Position) -> float | None:
        return self._value(self.momentum, at) if self.momentum else None

    def _value(self, knots: Sequence[tuple[float, float]], at: Position) -> float:
        at = self.followed(at)
        return through(knots, at.share if self.unit == "share" else at.epochs, self.shape)


def through(
    knots: Sequence[tuple[float, float]], t: float, shape: Literal["linear", "cosine"] = "linear"
) -> float:
    """The value at `t` of the curve through `knots`, one or more [position, value] in order of position."""
    if t < knots[0][0]:
        return knots[0][1]
    for (left, before), (right, after) in pairwise(knots):
        if left <= t < right:
            s = (t - left) / (right - left)
            if shape == "cosine":
                s = (1 - math.cos(math.pi * s)) / 2
            return before + (after - before) * s
    return knots[-1][1]
