"""The network that a training attack really runs on: a copy that gives the same gradients sooner.

In float32, or with the statistics of the batch, it is the network itself and results stay as they are, bit
for bit. Under autocast to bfloat16 in eval mode it is a folded copy, of a network that has such a form
(`Classifier.folded`), made once and refreshed before each attack; on CUDA its passes are replayed as graphs,
as starting 200 kernels one by one takes the host longer than the device takes to run them. It can be
compiled, too: that takes half a minute or so per network and saves 4 % of an attack on a CPU, so it is done
only where it is asked for.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

if TYPE_CHECKING:
    from robustfront.models import Classifier

Passes = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to features float32 or lower (B, D), differentiable."""

_copies: WeakKeyDictionary[Classifier, Classifier] = WeakKeyDictionary()
_execution = {"compiled": False}


def compile_stand_ins(wanted: bool) -> None:
    """Whether stand-ins made from now on are compiled; rounding differs by it, and nothing else."""
    _execution["compiled"] = wanted


def stand_in(model: Classifier, x: Tensor) -> Classifier:
    """What to attack in place of `model` with images like `x`, until its weights change."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind) or model.training or not model.folds:
        return model
    folded = _copies.get(model)
    if folded is None:
        folded = model.folded(torch.get_autocast_dtype(kind))
        if folded is None:
            return model
        passes: Passes = folded.features
        if _execution["compiled"]:
            passes = _quicker("torch.compile", _compile, passes, x)
        if kind == "cuda":
            passes = _quicker("CUDA graphs", _capture, passes, x)
        folded.features = passes  # type: ignore[method-assign,assignment]
        _copies[model] = folded
    else:
        model.refold(folded)
    return folded


def release_stand_ins() -> None:
    """Forgets all copies, and so frees what graphs of theirs hold: for a batch that is made in parts now."""
    _copies.clear()


def _quicker(what: str, make: Callable[[Passes, Tensor], Passes], plain: Passes, x: Tensor) -> Passes:
    """`make(plain, x)` for batches like `x`; `plain` for others, and for all where making it fails."""
    wanted = _layout(x)
    try:
        quick = make(plain, x)
    except torch.OutOfMemoryError:
        raise  # smaller batches may do
    except RuntimeError as error:  # memory that runs out in a capture may look so; the plain pass then tells
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        warnings.warn(f"training attacks run without {what}, more slowly: {reason}", stacklevel=2)
        return plain
    return lambda images: (quick if _layout(images) == wanted else plain)(images)


def _layout(x: Tensor) -> tuple[object, ...]:
    """What a graph or a compiled function takes for granted of its images."""
    return x.shape, x.dtype, x.stride(), x.device


def _compile(plain: Passes, x: Tensor) -> Passes:
    """Compiled with the backward pass, which is run also where no gradient is wanted: a graph without one
    would take as long to compile, and round in its own way.
    """
    compiled = torch.compile(plain, dynamic=False)

    @torch.enable_grad()
    def quick(images: Tensor) -> Tensor:
        if images.requires_grad:
            return compiled(images)
        return compiled(images.detach().requires_grad_()).detach()

    sample = x.detach().clone().requires_grad_()
    torch.autograd.grad(quick(sample).sum(), sample)  # now, so that a failure is met here
    return quick


def _capture(plain: Passes, x: Tensor) -> Passes:
    """Forward and backward pass as CUDA graphs.

    They have one set of activations: RuntimeError where a gradient is asked for after another forward pass,
    as it would be that of the other images. What they return is the caller's to keep.
    """
    dtype = torch.get_autocast_dtype("cuda")

    def uncached(images: Tensor) -> Tensor:  # a cached cast would be freed when autocast ends
        with torch.autocast("cuda", dtype, cache_enabled=False):
            return plain(images)

    # Where no gradient is wanted now it will be later, and without one there is no backward pass to capture.
    with torch.enable_grad(), torch.cuda.device(x.device), torch.autocast("cuda", enabled=False):
        sample = torch.zeros_like(x).requires_grad_()
        graphed = torch.cuda.make_graphed_callables(uncached, (sample,), **_ERROR_MODE)
    passes = _Passes()

    def replay(images: Tensor) -> Tensor:
        passes.count += 1
        return cast(Tensor, graphed(_Own.apply(images, passes))).clone()

    return replay


_ERROR_MODE: dict[str, Any] = {
    name: "thread_local"  # other threads may go on: NCCL's looks after its events all the time
    for name in inspect.signature(torch.cuda.make_graphed_callables).parameters
    if name == "capture_error_mode"
}


@dataclass
class _Passes:
    """How many forward passes a pair of graphs has made."""

    count: int = 0


class _Own(torch.autograd.Function):
    """Images as they are; their gradient is copied out of a buffer that the next pass overwrites."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, passes: _Passes) -> Tensor:
        ctx.passes, ctx.count = passes, passes.count
        return images.view_as(images)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if ctx.passes.count != ctx.count:
            raise RuntimeError(
                "a CUDA graph has run forward again since these images went through it, so its activations "
                "are of others; take the gradient before the next forward pass"
            )
        return gradient.clone(), None
