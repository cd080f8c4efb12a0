"""Batches as large as the memory has room for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from robustfront.devices import is_out_of_memory

B = TypeVar("B")
T = TypeVar("T")


class Room:
    """How many images fit into a batch: `size`, halved whenever memory runs out, down to a single image.

    What does not even fit then raises the error of the allocation. A batch is tried again from its beginning,
    so the work on it must leave nothing behind that changes the next attempt. Where batches must be `whole`
    none is halved.
    """

    def __init__(self, size: int, whole: bool = False) -> None:
        self.size, self.fixed = size, whole

    def pieces(self, images: int, work: Callable[[slice], T]) -> list[T]:
        """`work` on consecutive batches that together are all `images`; those that are done stay done."""
        found: list[T] = []
        start = 0
        while start < images:
            stop = min(start + self.size, images)
            piece = self._tried(stop - start, work, slice(start, stop))
            if piece is not None:
                found.append(piece[0])
                start = stop
        return found

    def whole(self, images: int, work: Callable[[int], T]) -> T:
        """`work` on a batch size, with which it goes through all `images` itself; begun anew with less."""
        while (found := self._tried(min(self.size, images), work, self.size)) is None:
            pass
        return found[0]

    def _tried(self, images: int, work: Callable[[B], T], batch: B) -> tuple[T] | None:
        """What `work` gives; None where memory ran out, and less than `images` is to be tried."""
        try:
            return (work(batch),)
        except (MemoryError, RuntimeError) as error:
            if images <= 1 or self.fixed or not is_out_of_memory(error):
                raise
        # not inside `except`: until there the traceback keeps the tensors of the attempt alive
        self.size = images // 2
        warnings.warn(f"memory ran out: from here on {self.size} images at once", stacklevel=3)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None
