"""Random numbers of batches that may be cut differently: each image gets the same ones all the same.

In training a batch is shared out to several devices, or halved where memory runs out: a `PartGenerator` draws
for the whole batch. An evaluation attacks images of one split in any batches: `ByPosition` draws for an image
by where it lies in the split.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

BLOCK = 64
"""Images that `ByPosition` draws for at once."""


class PartGenerator(torch.Generator):
    """A generator for some rows of a batch; of the whole batch until `take` says which.

    Anything but `draw` uses it like any other generator.
    """

    rows: slice | Tensor | None = None
    batch: int = 0

    def take(self, rows: slice | Tensor, batch: int) -> PartGenerator:
        """From now on the tensors drawn for are `rows`, in that order, of a batch of `batch` images."""
        self.rows, self.batch = rows, batch
        return self

    @property
    def is_cut(self) -> bool:
        """Whether the tensors drawn for are not all of the batch."""
        if isinstance(self.rows, Tensor):
            return True
        return self.rows is not None and len(range(self.batch)[self.rows]) < self.batch


class ByPosition:
    """Draws for the images at `positions` of a split, int64 (B,), whatever else is in the batch.

    The numbers of an image depend on `seed`, on its position and on how many times was drawn before. They are
    drawn on the CPU, so they are the same for every device.
    """

    def __init__(self, seed: int, positions: Tensor) -> None:
        self.seed, self.positions = seed, positions.cpu()
        self._draws = 0

    def draw(self, kind: Callable[..., Tensor], like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """`kind` of shape `shape`, with the type and on the device of `like`."""
        blocks, block_of = (self.positions // BLOCK).unique(return_inverse=True)
        drawn = torch.cat(
            [
                kind((BLOCK, *shape[1:]), generator=self._generator(block), dtype=like.dtype)
                for block in blocks.tolist()
            ]
        )
        self._draws += 1
        return drawn[block_of * BLOCK + self.positions % BLOCK].to(like.device)

    def keep(self, chosen: Tensor) -> None:
        """From now on draws only for those of its images that `chosen`, bool (B,), marks."""
        self.positions = self.positions[chosen.cpu()]

    def _generator(self, block: int) -> torch.Generator:
        content = f"{self.seed} {self._draws} {block}".encode()
        seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "big", signed=True)
        return torch.Generator().manual_seed(seed)


@contextlib.contextmanager
def of_another_batch(source: torch.Generator) -> Iterator[None]:
    """Within the context what is drawn for is no part of the source's batch, but a batch by itself."""
    if not isinstance(source, PartGenerator):
        yield
        return
    rows, source.rows = source.rows, None
    try:
        yield
    finally:
        source.rows = rows


@contextlib.contextmanager
def of_some(source: torch.Generator, chosen: Tensor) -> Iterator[None]:
    """Within the context what is drawn for are those of the source's images at `chosen`, int64 (B,).

    Of a `PartGenerator` each of them gets the same numbers as if all were drawn for.
    """
    if not isinstance(source, PartGenerator) or source.rows is None:
        yield
        return
    rows = source.rows
    source.rows = torch.arange(source.batch, device=chosen.device)[rows][chosen]
    try:
        yield
    finally:
        source.rows = rows


Source = torch.Generator | ByPosition
"""Where an attack's random numbers come from."""


def draw(kind: Callable[..., Tensor], like: Tensor, source: Source | None, *shape: int) -> Tensor:
    """`kind` (torch.rand or torch.randn) of shape `shape`, by default that of `like`, whose images it is for.

    The first dimension counts images: a `PartGenerator` draws for its whole batch and keeps its rows. None:
    torch's global generator.
    """
    shape = shape or tuple(like.shape)
    if isinstance(source, ByPosition):
        return source.draw(kind, like, shape)
    options: dict[str, Any] = {"generator": source, "dtype": like.dtype, "device": like.device}
    if isinstance(source, PartGenerator) and source.rows is not None:
        return kind((source.batch, *shape[1:]), **options)[source.rows]
    return kind(shape, **options)
