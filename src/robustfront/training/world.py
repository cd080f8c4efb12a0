"""The processes of one training, which share every batch: one, or one for each of several devices.

Every process holds the whole model and the whole data set, and sees the same random numbers. Of each batch
it crafts and trains on its own rows; gradients and sums are added up over all. So the weights, and what is
decided from them, are the same bits in every process, and those of a single one up to the order of additions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class World:
    """Process `rank` of `size`; the default is a training in a single process, where nothing is exchanged.

    With more than one, torch.distributed's default group spans them.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """This process's part of a batch of `count` images; parts differ by one image at most."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    @torch.no_grad()
    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its sum over the processes, in one exchange per data type."""
        if self.size == 1:
            return
        for _, group in groupby(sorted(tensors, key=lambda t: str(t.dtype)), key=lambda t: t.dtype):
            same = list(group)
            flat = torch.cat([tensor.reshape(-1) for tensor in same])
            dist.all_reduce(flat)
            pieces = flat.split([tensor.numel() for tensor in same])
            for tensor, piece in zip(same, pieces, strict=True):
                tensor.copy_(piece.view(tensor.shape))

    def collect(self, tensors: Iterable[Tensor]) -> None:
        """Moves what the processes have summed so far to the first one; the others go on from 0."""
        tensors = list(tensors)
        self.add(tensors)
        self.keep_in_first(tensors)

    def keep_in_first(self, tensors: Iterable[Tensor]) -> None:
        """Zeroes sums that all processes have read from one file, except in the first."""
        if not self.first:
            for tensor in tensors:
                tensor.zero_()

    def alike(self, tensors: Iterable[Tensor]) -> bool:
        """Whether all processes have the same sums of the same tensors, to the bit."""
        if self.size == 1:
            return True
        total = torch.stack([tensor.double().sum() for tensor in tensors]).nan_to_num()
        bounds = torch.stack([total, -total])
        dist.all_reduce(bounds, dist.ReduceOp.MAX)
        return torch.equal(bounds[0], -bounds[1])

    def any(self, *flags: bool) -> list[bool]:
        """Each flag, true if it is in any process. Exchanged between the hosts: no device is waited for."""
        if self.size == 1:
            return list(flags)
        votes = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return [bool(vote) for vote in votes]


ALONE = World()
"""A single process."""
