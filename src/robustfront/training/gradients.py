"""The gradients of a batch; where memory runs out, the same ones in less of it.

The attack is then made in parts: in eval mode images do not meet, and random numbers are drawn for the whole
batch. The training pass cannot be: batch norm in train mode would see other statistics. There the activations
inside residual blocks are not kept for the backward pass but computed again, which costs one more forward
pass. Both give the same results up to rounding.
"""

import contextlib
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from robustfront.attacks.draws import PartGenerator
from robustfront.devices import is_out_of_memory
from robustfront.methods.base import Losses, Method
from robustfront.models import Classifier


class Gradients:
    """Crafts a batch by `method` and writes the gradients of its loss into the model's parameters.

    With `thrifty`, memory that runs out is met as above, from then on and told once by a warning. Methods
    that look at a batch as a whole are not helped, nor are attacks in train mode.
    """

    def __init__(
        self, model: Classifier, method: Method, *, precision: Literal["fp32", "bf16"], thrifty: bool
    ) -> None:
        self.model, self.method, self.precision = model, method, precision
        self.thrifty = thrifty and method.per_image
        self.parts = 1
        self.recompute = False
        self._attacking = False
        self._before = _Snapshot([*model.buffers(), *method.sums()])
        self._once = _Snapshot(list(model.buffers()))

    @property
    def economies(self) -> str | None:
        """What is done to save memory; None while there is enough."""
        attack = f"the attack is made in {self.parts} parts" if self.parts > 1 else ""
        step = "activations are computed again in the backward pass" if self.recompute else ""
        return " and ".join(filter(None, [attack, step])) or None

    def write(self, x: Tensor, y: Tensor, generator: PartGenerator, weight: float) -> Losses:
        """The losses of the images `x` (B, C, H, W) labelled `y`; the gradients are multiplied by `weight`.

        The model is in train mode before and after.
        """
        drawn = generator.get_state()
        if self.thrifty:
            self._before.take()
        while True:
            try:
                return self._write(x, y, generator, weight)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or not self._economise(len(y)):
                    raise
            # not inside `except`: until there the traceback keeps the tensors of the attempt alive
            if x.is_cuda:
                torch.cuda.empty_cache()
            self._before.put_back()
            generator.set_state(drawn)
            self.model.train()

    def _write(self, x: Tensor, y: Tensor, generator: PartGenerator, weight: float) -> Losses:
        self._attacking = True
        with self._autocast(x):
            x_adv = self._craft(x, y, generator)
        self._attacking = False
        if not self.model.training:
            self.model.train()
        for parameter in self.model.parameters():
            parameter.grad = None
        if not self.recompute:
            with self._autocast(x):
                losses = self.method.losses(x, x_adv, y)
            self.method.combine(losses.weighted(weight))
            return losses
        with self._autocast(x), _recomputed(self.model.segments()):
            losses = self.method.losses(x, x_adv, y)
        self._once.take()
        self.method.combine(losses.weighted(weight))
        self._once.put_back()  # the second forward pass has moved them again
        return losses

    def _craft(self, x: Tensor, y: Tensor, generator: PartGenerator) -> Tensor | None:
        if self.parts == 1:
            return self.method.craft(x, y, generator)
        drawn, batch = generator.get_state(), len(y)
        found: list[Tensor] = []
        for part in range(self.parts):
            rows = slice(part * batch // self.parts, (part + 1) * batch // self.parts)
            if rows.start < rows.stop:
                generator.set_state(drawn)
                x_adv = self.method.craft(x[rows], y[rows], generator.take(rows, batch))
                assert x_adv is not None
                found.append(x_adv)
        return torch.cat(found)

    def _economise(self, images: int) -> bool:
        """Decides on one more economy, of what ran out of memory just now; False if there is none left."""
        if not self.thrifty:
            return False
        mode = getattr(self.method.params, "attack_mode", None)
        if self._attacking and self.parts < images and mode == "eval":
            self.parts *= 2
        elif not self._attacking and not self.recompute and self.model.segments():
            self.recompute = True
        else:
            return False
        warnings.warn(f"memory ran out: from here on {self.economies}; results stay the same", stacklevel=2)
        return True

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16")


@contextlib.contextmanager
def _recomputed(segments: list[nn.Module]) -> Iterator[None]:
    """Within the context forward passes keep of each segment its input alone."""
    for segment in segments:
        segment.forward = partial(checkpoint, segment.forward, use_reentrant=False, preserve_rng_state=False)
    try:
        yield
    finally:
        for segment in segments:
            del segment.forward


class _Snapshot:
    """Copies of tensors, always the same ones and few kernels' work: it is taken before every step."""

    def __init__(self, tensors: list[Tensor]) -> None:
        kinds = {tensor.dtype for tensor in tensors}
        self.live = [[tensor for tensor in tensors if tensor.dtype == kind] for kind in kinds]
        self.kept = [[torch.empty_like(tensor) for tensor in group] for group in self.live]

    @torch.no_grad()
    def take(self) -> None:
        for kept, live in zip(self.kept, self.live, strict=True):
            torch._foreach_copy_(kept, live)

    @torch.no_grad()
    def put_back(self) -> None:
        for kept, live in zip(self.kept, self.live, strict=True):
            torch._foreach_copy_(live, kept)
