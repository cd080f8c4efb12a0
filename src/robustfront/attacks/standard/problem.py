"""What the four attacks attack: a network, the one they search with, and a ball in the unit box."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) -> logits (B, K) in float32."""

Tick = Callable[[float], None]
"""Called with the fraction of an attack that is done."""


@dataclass(frozen=True)
class Problem:
    """The points x' of [0, 1] with |x' - x| <= eps, and the networks.

    `exact` decides what is a success. `search` is what FAB-T and Square look at meanwhile: `exact` itself, or
    a cheaper approximation of it.
    """

    exact: Network
    search: Network
    norm: Literal["linf", "l2"]
    eps: float

    def fooled(self, candidates: Tensor, x_adv: Tensor, labels: Tensor) -> Tensor:
        """Which of the `candidates` (B,) bool are classified wrongly by `exact`; it sees no others."""
        fell = candidates.clone()
        if candidates.any():
            with torch.no_grad():
                fell[candidates] = self.exact(x_adv[candidates]).argmax(dim=1) != labels[candidates]
        return fell

    def size(self, delta: Tensor) -> Tensor:
        """The norm of each perturbation, (B, 1, 1, 1)."""
        flat = delta.flatten(1)
        norm = flat.abs().amax(dim=1) if self.norm == "linf" else (flat**2).sum(dim=1).sqrt()
        return norm.view(-1, 1, 1, 1)

    def unit(self, delta: Tensor) -> Tensor:
        """`delta` scaled to norm 1."""
        return delta / (self.size(delta) + 1e-12)


@dataclass
class Standing:
    """Tensors with a row per image that still stands; the base of the attacks' states."""

    index: Tensor
    """Which image of the batch each row is, int64 (B,)."""

    def only(self, kept: Tensor) -> Self:
        """The rows for which `kept` (B,) bool holds."""
        if kept.all():
            return self
        return type(self)(
            **{field.name: getattr(self, field.name)[kept] for field in dataclasses.fields(self)}
        )


@dataclass
class Outcome:
    """What became of a batch: x' (B, C, H, W), x itself where the image stands, and which fell, (B,) bool."""

    x_adv: Tensor
    fell: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Outcome:
        return cls(x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device))

    def record(self, index: Tensor, x_adv: Tensor, fell: Tensor) -> None:
        """Notes which of the rows `index` fell, and to what."""
        self.x_adv[index[fell]] = x_adv[fell]
        self.fell[index[fell]] = True


def each_target(
    attack: Callable[[Tensor, Tensor], Outcome],
    x: Tensor,
    targets: Tensor,
    tick: Tick = lambda fraction: None,
    at_once: int = 1,
) -> Outcome:
    """Runs `attack` on (rows, target classes): on all rows that stand, for one column of `targets` (B, T)
    after the other.

    Of few rows, several columns come together, for a batch of up to `at_once`. This is for attacks that draw
    no random numbers.
    """
    outcome = Outcome.of(x)
    column, last = 0, targets.shape[1]
    while column < last and not outcome.fell.all():
        tick(column / last)
        rows = (~outcome.fell).nonzero().squeeze(1)
        columns = range(column, min(column + max(at_once // len(rows), 1), last))
        chosen = torch.cat([targets[rows, one] for one in columns])
        result = attack(rows.repeat(len(columns)), chosen)
        found = zip(result.x_adv.split(len(rows)), result.fell.split(len(rows)), strict=True)
        for x_adv, fell in reversed(list(found)):  # the likeliest class has the last word
            outcome.record(rows, x_adv, fell)
        column = columns.stop
    return outcome
