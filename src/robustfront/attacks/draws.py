"""Random numbers of a batch that is worked on in parts: each image gets those of the whole batch.

A batch is shared out to several devices, or halved where memory runs out. Neither may change what is drawn.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class PartGenerator(torch.Generator):
    """A generator for some rows of a batch; of the whole batch until `take` says which.

    Anything but `draw` uses it like any other generator.
    """

    rows: slice | None = None
    batch: int = 0

    def take(self, rows: slice, batch: int) -> "PartGenerator":
        """From now on the tensors drawn for are `rows` of a batch of `batch` images."""
        self.rows, self.batch = rows, batch
        return self


def draw(kind: Callable[..., Tensor], like: Tensor, generator: torch.Generator | None, *shape: int) -> Tensor:
    """`kind` (torch.rand or torch.randn) of shape `shape`, by default that of `like`, whose images it is for.

    The first dimension counts images: a `PartGenerator` draws for its whole batch and keeps its rows.
    """
    shape = shape or tuple(like.shape)
    options: dict[str, Any] = {"generator": generator, "dtype": like.dtype, "device": like.device}
    if isinstance(generator, PartGenerator) and generator.rows is not None:
        return kind((generator.batch, *shape[1:]), **options)[generator.rows]
    return kind(shape, **options)
