"""The gradients of a batch; where memory runs out, the same ones in less of it.

The attack is then made in parts: in eval mode images do not meet, and random numbers are drawn for the whole
batch. The training pass cannot be: batch norm in train mode would see other statistics. There the activations
inside residual blocks are not kept for the backward pass but computed again, which costs one more forward
pass. Both give the same results up to rounding.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from robustfront import attacks
from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Precision
from robustfront.devices import is_out_of_memory
from robustfront.errors import ConfigError
from robustfront.methods.base import Losses, Method
from robustfront.methods.moment import Moment, Passes
from robustfront.models import Classifier
from robustfront.models.batch_norm import batch_statistics_layers
from robustfront.training.randomness import reseed
from robustfront.training.world import ALONE, World

if TYPE_CHECKING:
    from robustfront.methods.moment import Craft


class Gradients(Passes):
    """Has `method` write the gradients of its loss into the model's parameters, batch by batch.

    With a single process, memory that runs out is met as above, from then on and told once by a warning.
    Methods that look at a batch as a whole are not helped, nor are attacks in train mode, or on a network
    that normalises by the batch in eval mode, too.
    """

    def __init__(
        self, model: Classifier, method: Method, *, precision: Precision, world: World = ALONE
    ) -> None:
        self.model, self.method, self.precision, self.world = model, method, precision, world
        # Of several processes one alone must not change its ways: the others would wait for it for ever.
        self.thrifty = world.size == 1 and method.per_image
        self.looks_at_batches = bool(batch_statistics_layers(model))
        self.parts = 1
        self.recompute = False
        self._attacking = False
        self._share = 1.0
        self._reduced = world.size == 1  # whether the method's gradients are known to be the whole batch's
        restored = [*model.parameters(), *model.buffers(), *method.sums()]
        self._before = _Snapshot(restored if self.thrifty else [])

    @property
    def economies(self) -> str | None:
        """What is done to save memory; None while there is enough."""
        attack = f"the attack is made in {self.parts} parts" if self.parts > 1 else ""
        step = "activations are computed again in the backward pass" if self.recompute else ""
        return " and ".join(filter(None, [attack, step])) or None

    def write(self, x: Tensor, y: Tensor, at: Moment, share: float) -> Losses:
        """The losses of the images `x` (B, C, H, W) labelled `y`, this process's `share` of a batch.

        The gradients are those of the whole batch. The model is in train mode before and after. `at` has a
        `PartGenerator`, of whose seed torch's global generators have just been given.
        """
        generator = at.generator
        drawn = generator.get_state()
        state = {name: value.clone() for name, value in self.method.state().items()} if self.thrifty else {}
        if self.thrifty:
            self._before.take()
        self._share = share
        while True:
            try:
                return self._write(x, y, at)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or not self._economise(len(y)):
                    raise
            # not inside `except`: until there the traceback keeps the tensors of the attempt alive
            attacks.release_stand_ins()
            if x.is_cuda:
                torch.cuda.empty_cache()
            self._before.put_back()
            self.method.load_state({name: value.clone() for name, value in state.items()})
            reseed(x.device, generator.initial_seed())
            generator.set_state(drawn)
            self.model.train()

    def _write(self, x: Tensor, y: Tensor, at: Moment) -> Losses:
        self._attacking = False
        for parameter in self.model.parameters():
            parameter.grad = None
        losses = self.method.gradients(x, y, replace(at, condition=self.method.condition(y, at)))
        if not self._reduced:
            self._require_reduced()
        return losses

    def _require_reduced(self) -> None:
        """ConfigError if the processes have different gradients: their weights would part unnoticed."""
        found = [p.grad for p in self.model.parameters() if p.grad is not None]
        self._reduced = self.world.alike(found)
        if not self._reduced:
            raise ConfigError(
                f"method '{type(self.method).__name__}' leaves gradients of its own images alone: it has to "
                "combine what `at.backward` or `at.gradients` give, or to be `per_image = False`"
            )

    # ------------------------------------------------------------------------------ what methods are offered
    def crafted(self, craft: Craft, x: Tensor, y: Tensor, at: Moment) -> Tensor | None:
        self._attacking = True
        with self._autocast(x):
            found = craft(x, y, at) if self.parts == 1 else self._in_parts(craft, x, y, at)
        self._attacking = False
        if not self.model.training:
            self.model.train()
        for average in at.averages.values():
            average.eval()
        return found

    @contextlib.contextmanager
    def forward(self) -> Iterator[None]:
        with self._autocast(self.model.mean):
            if self.recompute:
                with _recomputed(self.model.segments()):
                    yield
            else:
                yield

    # A loss is weighed before it is differentiated: batch norms add up over the processes on the way.
    def backward(self, loss: Tensor) -> None:
        super().backward(loss * self._share)
        self.world.add(p.grad for p in self.model.parameters() if p.grad is not None)

    def gradients(self, loss: Tensor, weights: Sequence[Tensor], keep_graph: bool) -> list[Tensor]:
        found = super().gradients(loss * self._share, weights, keep_graph)
        self.world.add(found)
        return found

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        if self.world.size > 1:
            same = list(tensors)
            torch._foreach_mul_(same, self._share)
            self.world.add(same)

    def _in_parts(self, craft: Craft, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        generator, batch = at.generator, len(y)
        assert isinstance(generator, PartGenerator)
        drawn = generator.get_state()
        found: list[Tensor] = []
        for part in range(self.parts):
            rows = slice(part * batch // self.parts, (part + 1) * batch // self.parts)
            if rows.start < rows.stop:
                generator.set_state(drawn)
                there = replace(
                    at,
                    generator=generator.take(rows, batch),
                    indices=at.indices[rows],
                    condition=at.condition[rows] if at.condition is not None else None,
                )
                x_adv = craft(x[rows], y[rows], there)
                assert x_adv is not None
                found.append(x_adv)
        generator.take(slice(0, batch), batch)
        return torch.cat(found)

    def _economise(self, images: int) -> bool:
        """Decides on one more economy, of what ran out of memory just now; False if there is none left."""
        if not self.thrifty:
            return False
        apart = getattr(self.method.params, "attack_mode", None) == "eval" and not self.looks_at_batches
        if self._attacking and self.parts < images and apart:
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
    """Within the context forward passes keep of each segment its input alone.

    Computed again it draws the same random numbers, and moves no running statistics a second time.
    """
    for segment in segments:
        twice = partial(_only_once, list(segment.buffers()))
        segment.forward = partial(checkpoint, segment.forward, use_reentrant=False, context_fn=twice)
    try:
        yield
    finally:
        for segment in segments:
            del segment.forward


def _only_once(buffers: list[Tensor]) -> tuple[contextlib.AbstractContextManager[None], _Kept]:
    """Contexts of a forward pass, which may change the buffers, and of its repetitions, which may not."""
    return contextlib.nullcontext(), _Kept(buffers)


class _Kept(contextlib.AbstractContextManager[None]):
    """Leaves tensors as they were; it can be entered again, as when two backward passes use one graph."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.snapshot = _Snapshot(tensors)

    def __enter__(self) -> None:
        self.snapshot.take()

    def __exit__(self, *_: object) -> None:
        self.snapshot.put_back()


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
