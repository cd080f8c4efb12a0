"""Whole batches, of one size and always of the same images: for networks that look at the rest of a batch."""

import torch
from torch import Tensor


def filled(positions: Tensor, batch_size: int) -> tuple[Tensor, int]:
    """`positions` (N,), then as many of the first ones as fill the last batch; and the size of every batch.

    The images that fill it are attacked there once more, and what becomes of them there does not count. Fewer
    images than `batch_size` are one batch.
    """
    size = min(batch_size, len(positions))
    return torch.cat([positions, positions[: -len(positions) % size]]), size
