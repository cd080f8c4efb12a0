"""Where a training is, and what its loop offers: the one object that every hook of a method is given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from robustfront.models import Classifier

    Craft = Callable[[Tensor, Tensor, "Moment"], Tensor | None]


class Passes:
    """How the passes of a step are made: here, one after the other; the loop's are sparing with memory."""

    def crafted(self, craft: Craft, x: Tensor, y: Tensor, at: Moment) -> Tensor | None:
        """What `craft` makes of the batch."""
        return craft(x, y, at)

    def forward(self) -> contextlib.AbstractContextManager[None]:
        """Forward passes in train mode belong inside."""
        return contextlib.nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of a loss to the parameters'."""
        loss.backward()

    def gradients(self, loss: Tensor, weights: Sequence[Tensor], keep_graph: bool) -> list[Tensor]:
        """Those of a loss, zeros for weights that it does not depend on."""
        import torch

        return list(torch.autograd.grad(loss, weights, retain_graph=keep_graph, materialize_grads=True))

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        """Replaces means over this process's images by those over the whole batch."""


@dataclass(frozen=True)
class Moment:
    """Position, randomness and surroundings of a hook's call.

    `epoch` of `epochs` and `step` of `steps_per_epoch` count from 0; a step is one of the optimiser. Whatever
    changes along a training is best written as a function of them: it then survives a resume by itself.
    `replay` counts the steps made on the same augmented batch before. `indices` (B,) are the positions of the
    batch's images in the training split, none outside a step; `condition` (B,) is what the method's
    `condition` returned for them. `averages` are those that the method declares, networks in eval mode.

    `generator` is seeded by the position; what is drawn for the images of a batch is drawn from it by
    `attacks.draws.draw`.
    """

    generator: torch.Generator
    indices: Tensor
    epoch: int = 0
    epochs: int = 1
    step: int = 0
    steps_per_epoch: int = 1
    replay: int = 0
    condition: Tensor | None = None
    averages: Mapping[str, Classifier] = field(default_factory=dict)
    passes: Passes = field(default_factory=Passes)

    @property
    def steps_done(self) -> int:
        """Steps before this one, over all epochs."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def share_done(self) -> float:
        """The share of the training that is over: 0 at its first step, 1 after its last."""
        return self.steps_done / (self.epochs * self.steps_per_epoch)

    def crafted(self, craft: Craft, x: Tensor, y: Tensor) -> Tensor | None:
        """`craft(x, y, at)` in the training's precision; image by image in parts where memory ran out.

        The model is in train mode afterwards.
        """
        return self.passes.crafted(craft, x, y, self)

    def forward(self) -> contextlib.AbstractContextManager[None]:
        """Around forward passes for a loss: the training's precision, and less memory where it ran out."""
        return self.passes.forward()

    def backward(self, loss: Tensor) -> None:
        """Writes the gradients of a loss into the parameters: those over the whole batch, in every process.

        `loss` is a mean over this process's images.
        """
        self.passes.backward(loss)

    def gradients(self, loss: Tensor, weights: Sequence[Tensor], *, keep_graph: bool = False) -> list[Tensor]:
        """The gradients that `backward` would write for `weights`; zeros where the loss does not depend."""
        return self.passes.gradients(loss, weights, keep_graph)

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        """Means over this process's images of the batch become, in place, means over the whole batch.

        Every process has to reduce the same tensors in the same order.
        """
        self.passes.reduce(tensors)
