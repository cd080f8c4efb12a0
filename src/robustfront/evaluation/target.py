"""What an attack is given: a network, images, and how to go through them in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from robustfront.attacks import Ball
from robustfront.attacks.engine import Runner
from robustfront.evaluation.batches import Perturb, in_batches
from robustfront.evaluation.room import Room

if TYPE_CHECKING:
    from robustfront.models import Classifier

Progress = Callable[[str, int, int], None]
"""Called as (part of the attack, images done, images in all)."""


@dataclass(frozen=True)
class Target:
    """A network in eval mode with images x (N, C, H, W), labels (N,) and their positions in the split (N,).

    x' has to stay in `ball`. `room` has the size of batches, halved where memory runs out. `runner(name)`
    runs a batch, or knows its result from an evaluation that was interrupted.
    """

    label: str
    model: Classifier
    x: Tensor
    labels: Tensor
    positions: Tensor
    ball: Ball
    seed: int
    room: Room
    runner: Callable[[str], Runner]
    progress: Progress

    def done(self, images: int) -> None:
        """Says so."""
        self.progress(self.label, images, len(self.x))

    def by_image(self, perturb: Perturb, outcomes: tuple[str, ...]) -> dict[str, Tensor]:
        """Outcome -> x' (N, C, H, W), by `perturb`(x, labels, generator) -> (outcomes, B, C, H, W).

        For attacks that draw for each image by itself (`attacks.draws` with the generator), so that neither
        the batch size nor the other images change what becomes of it. Where memory runs out they go on.
        """
        return in_batches(
            self.x,
            self.labels,
            self.positions,
            perturb,
            outcomes,
            seed=self.seed,
            room=self.room,
            run=self.runner(self.label),
            done=self.done,
        )

    def whole(self, work: Callable[[int, Runner], Tensor]) -> Tensor:
        """x' (N, C, H, W), by `work`(batch size, runner of a batch), which goes through all images itself.

        For attacks that draw batch by batch (`draws_by_batch`). Where memory runs out they begin anew.
        """
        x_adv = self.room.whole(
            len(self.x), lambda batch_size: work(batch_size, self.runner(f"{self.label}-{batch_size}"))
        )
        self.done(len(self.x))
        return x_adv
