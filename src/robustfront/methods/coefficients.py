"""Weights of a loss that change from epoch to epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from robustfront.config.quantities import NonNegative
from robustfront.config.schedules.knots import through
from robustfront.config.schema import Config
from robustfront.methods.moment import Moment


class Coefficient(Config):
    """Through knots [position, value] with straight lines between, taken at the begin of each epoch.

    `[[0, 0], [0.9, 4.5]]` rises over nine tenths of the training and stays; a position twice is a jump.
    """

    knots: Annotated[tuple[tuple[NonNegative, NonNegative], ...], Field(min_length=1)]
    unit: Literal["share", "epochs"] = Field(
        "share", description="of positions: fractions of the training, or epochs"
    )

    @model_validator(mode="after")
    def positions_are_in_order(self) -> Coefficient:
        positions = [position for position, _ in self.knots]
        if positions != sorted(positions):
            raise ValueError("the positions of knots must not decrease")
        if self.unit == "share" and positions[-1] > 1:
            raise ValueError("positions are fractions of the training; write `unit: epochs` for epochs")
        return self

    def at(self, moment: Moment) -> float:
        """The value in the epoch of a step."""
        return through(self.knots, moment.epoch / (moment.epochs if self.unit == "share" else 1))
