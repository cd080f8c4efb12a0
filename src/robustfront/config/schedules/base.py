"""What every schedule is: a config that says the rate, and perhaps the momentum, of each step."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import SerializeAsAny

from robustfront.config.lasting import added
from robustfront.config.registry import Kind, Kinds


@dataclass(frozen=True)
class Position:
    """Step `step` (from 0) of `total_steps`, of which `steps_per_epoch` make an epoch."""

    step: int
    total_steps: int
    steps_per_epoch: int

    @property
    def share(self) -> float:
        """Of the training that is over before the step, in [0, 1)."""
        return self.step / self.total_steps

    @property
    def epochs(self) -> float:
        """How many are over before the step, with their fraction."""
        return self.step / self.steps_per_epoch

    @property
    def epoch_begin(self) -> "Position":
        """The first step of the same epoch."""
        first = self.step - self.step % self.steps_per_epoch
        return Position(first, self.total_steps, self.steps_per_epoch)


schedules: Kinds["ScheduleConfig"] = Kinds("schedule")


class ScheduleConfig(Kind):
    """Base of all schedules. A subclass says by which name it is known: `kind: Literal["mine"] = "mine"`."""

    known: ClassVar[Kinds["ScheduleConfig"]] = schedules

    kind: str

    def rate_at(self, peak: float, at: Position) -> float:
        """The learning rate of a step, given the peak rate of the optimiser's config."""
        raise NotImplementedError

    def momentum_at(self, at: Position) -> float | None:
        """The momentum of a step (of Adam: beta1); None: what the optimiser's config says."""
        return None


Schedule = SerializeAsAny[ScheduleConfig]


class Stepwise(ScheduleConfig):
    """A schedule that may change at every step, or only between epochs."""

    every: Literal["step", "epoch"] = added(
        "step", before="step", description="when the rate changes; epoch: that of the epoch's first step"
    )

    def followed(self, at: Position) -> Position:
        """The position whose rate holds at `at`."""
        return at if self.every == "step" else at.epoch_begin


def warming_up(peak: float, at: Position, warmup: float) -> float:
    """Within a warm-up, a share of the training: its n steps rise by peak / (n + 1) each."""
    return peak * (at.step + 1) / (warmup * at.total_steps + 1)
