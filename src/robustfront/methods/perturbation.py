"""Weights that are others for a while, as in adversarial weight perturbation (Wu et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def perturbed(model: nn.Module, deltas: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the context the parameters named in `deltas` are moved by them; afterwards they are as before.

    To the bit, however the context is left. What is differentiated within belongs to the moved weights, so
    the backward pass has to be made within as well. KeyError for a name that `model` does not have.
    """
    import torch

    parameters = dict(model.named_parameters())
    moved = [parameters[name] for name in deltas]
    kept = [parameter.detach().clone() for parameter in moved]
    try:
        with torch.no_grad():
            for parameter, delta in zip(moved, deltas.values(), strict=True):
                parameter.add_(delta)
        torch.clear_autocast_cache()  # it would hand out bfloat16 copies of the weights before
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(moved, kept, strict=True):
                parameter.copy_(value)
        torch.clear_autocast_cache()


@contextmanager
def unmoved(model: nn.Module) -> Iterator[None]:
    """Afterwards the buffers of `model` are as before: forward passes within move no running statistics.

    What is differentiated within has to be so before the context is left: autograd keeps buffers in place.
    """
    import torch

    kept = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), kept, strict=True):
                buffer.copy_(value)
