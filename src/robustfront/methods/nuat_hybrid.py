"""Hybrid NuAT (S004, section 5.5): two steps of the attack while training on one looks unstable.

The paper looks for "a sudden drop in the training loss on clean samples when compared to the average loss of
the previous epoch" and says no more: no statistic, threshold or duration, and there is no code. Here the drop
is that of the mean over the last `window` batches below `drop_ratio` times the mean of the previous epoch; it
is looked at before each batch, so two steps last as long as the drop does. docs/reproduction/nuat.md says how
the defaults were found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront.config.quantities import Count, ProperFraction
from robustfront.config.schema import Config
from robustfront.methods.base import Losses, Setting, Surroundings, register
from robustfront.methods.moment import Moment
from robustfront.methods.nuat import SOURCE, NuAT, NuAT2, NuAT2Params, NuATParams

if TYPE_CHECKING:
    from torch import Tensor


class HybridParams(NuATParams):
    drop_ratio: ProperFraction = Field(
        0.85, description="two steps while the clean loss is below this share of the previous epoch's"
    )
    window: Count = Field(1, description="batches over which that clean loss is averaged")


@register("nuat_h", source=SOURCE)
class NuATHybrid(NuAT):
    """NuAT-H: NuAT, with NuAT2's attack while the clean loss is far below that of the epoch before.

    `units` are NuAT's: how often there is a second step nobody knows before.
    """

    Params: ClassVar[type[Config]] = HybridParams
    params: HybridParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.two_steps = NuAT2(_of_two_steps(params), setting)
        self.latest = self.model.mean.new_full((params.window,), float("nan"))
        self.seen = self.model.mean.new_zeros(3).double()  # losses, batches, those with two steps
        self.previous = self.model.mean.new_full((), float("nan")).double()

    def attach(self, surroundings: Surroundings) -> None:
        super().attach(surroundings)
        self.two_steps.attach(surroundings)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        if not self.has_dropped():
            return super().craft(x, y, at)
        self.seen[2] += 1
        return self.two_steps.craft(x, y, at)

    def has_dropped(self) -> bool:
        """Whether the latest batches' clean loss is that far below; the host waits for the device here.

        Not in the first epoch, and not before there are `window` batches: NaN compares as false.
        """
        return bool(self.latest.double().mean() < self.params.drop_ratio * self.previous)

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        found = super().losses(x, x_adv, y, at)
        loss = found.parts["clean_loss"].detach()
        self.latest = self.latest.roll(-1)
        self.latest[-1] = loss
        self.seen[0] += loss
        self.seen[1] += 1
        return found

    def diagnostics(self, at: Moment) -> dict[str, float]:
        """`two_step_share`: of the epoch's batches; summed over the epochs it is the paper's subscript."""
        total, batches, twice = self.seen.unbind()
        self.previous = total / batches
        share = float(twice / batches)
        self.seen = self.seen.new_zeros(3)
        return {"two_step_share": share}

    def state(self) -> dict[str, Tensor]:
        return {"latest": self.latest, "seen": self.seen, "previous": self.previous}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.latest, self.seen, self.previous = (state[key].clone() for key in ("latest", "seen", "previous"))


def _of_two_steps(params: HybridParams) -> NuAT2Params:
    """NuAT2 with the same lambda, ball and noise."""
    shared = {key: getattr(params, key) for key in ("threat", "attack_mode", "weight", "weight_classes")}
    return NuAT2Params(**shared, attack=params.attack.model_copy(update={"steps": 2}))
