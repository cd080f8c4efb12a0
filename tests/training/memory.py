"""Memory that runs out: a budget for what the backward passes of a training keep."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.autograd.graph import saved_tensors_hooks

from robustfront.training.loop import Trainer


class Budget:
    """Fails as torch does where one graph would keep more than `limit` values (`None`: measures only)."""

    def __init__(self, limit: float = float("inf")) -> None:
        self.limit, self.kept, self.most, self.failures = limit, 0, 0, 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with saved_tensors_hooks(self._pack, lambda packed: packed[0]):
            yield

    def given_to(self, made: Trainer) -> Trainer:
        """The trainer, each of whose steps has to do with this."""
        write = made.gradients.write

        def within_the_budget(*batch):
            with self():
                return write(*batch)

        made.gradients.write = within_the_budget
        return made

    def _pack(self, tensor):
        self.kept += tensor.numel()
        self.most = max(self.most, self.kept)
        if self.kept > self.limit:
            self.kept, self.failures = 0, self.failures + 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return tensor, _Release(self, tensor.numel())


class _Release:
    """Gives its values back to the budget when the graph that holds it is freed."""

    def __init__(self, budget: Budget, count: int) -> None:
        self.budget, self.count = budget, count

    def __del__(self) -> None:
        self.budget.kept = max(0, self.budget.kept - self.count)
