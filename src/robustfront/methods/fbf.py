"""Fast is better than free (Wong et al. 2020): a uniform start, one step beyond eps, and an early stop.

The attack itself is that of `pgd_at` with one step of 1.25 eps from a uniform start, in train mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import attacks
from robustfront.config.quantities import Length, Probability
from robustfront.config.schema import Ascent, Config
from robustfront.methods.adversarial import PGDAT
from robustfront.methods.base import AdversarialParams, Losses, Setting, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor

PROBE_STEPS = 5


class FBFParams(AdversarialParams):
    largest_drop: Probability | None = Field(
        0.2,
        description="training stops before the epoch in which the accuracy under PGD-5 on the epoch's first "
        "batch drops by more than this; null: never",
    )
    probe_step_size: Length = Field(2 / 255, description="step size of that PGD-5")


@register("fbf", source="Wong, Rice & Kolter 2020, arXiv 2001.03994")
class FBF(PGDAT):
    """Fast adversarial training: single-step images from a random start, until robustness collapses."""

    Params: ClassVar[type[Config]] = FBFParams

    per_image: ClassVar[bool] = False  # the check is of a whole batch

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.stopped = self.model.mean.new_zeros(())
        self.accuracy = self.model.mean.new_zeros(())
        self.before: dict[str, Tensor] = {}
        self.first: dict[str, Tensor] = {}

    def gradients(self, x: Tensor, y: Tensor, at: Moment) -> Losses:
        if at.step == 0:
            self.first = {"x": x.clone(), "y": y.clone()}
        return super().gradients(x, y, at)

    def end_epoch(self, at: Moment) -> None:
        """Compares PGD-5 accuracies; after a collapse the weights are those of the epoch before it.

        In eval mode, unlike the authors' code, in which the check moves the running statistics.
        """
        import torch

        if self.params.largest_drop is None:
            return
        x, y = self.first["x"], self.first["y"]
        probe = Ascent(steps=PROBE_STEPS, step_size=self.params.probe_step_size, start="uniform")
        self.model.eval()
        x_adv = attacks.pgd(self.model, x, y, self.ball, probe, generator=at.generator)
        with torch.no_grad():
            accuracy = (self.model(x_adv).argmax(dim=1) == y).to(self.accuracy).mean()
        self.model.train()
        if self.before and accuracy < self.accuracy - self.params.largest_drop:
            self.model.load_state_dict(self.before)
            self.stopped.fill_(1)
            return
        self.accuracy.copy_(accuracy)
        self.before = {name: value.clone() for name, value in self.model.state_dict().items()}

    def finished(self) -> bool:
        return bool(self.stopped)

    def state(self) -> dict[str, Tensor]:
        first = {f"first.{name}": value for name, value in self.first.items()}
        before = {f"before.{name}": value for name, value in self.before.items()}
        return {"stopped": self.stopped, "accuracy": self.accuracy} | first | before

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.stopped.copy_(state["stopped"])
        self.accuracy.copy_(state["accuracy"])
        self.first, self.before = (
            {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            for prefix in ("first.", "before.")
        )
