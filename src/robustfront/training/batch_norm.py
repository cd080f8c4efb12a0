"""Batch norm over the batch of all processes, so that sharing a batch out changes no statistic.

In train mode, and in eval mode where there are no running statistics.

torch.nn.SyncBatchNorm does the same on CUDA only; this one also runs, and is tested, on CPUs.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from robustfront.errors import ConfigError
from robustfront.losses import widen


class SharedBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d of which every process normalises its rows of a batch by the statistics of all rows."""

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> "SharedBatchNorm2d":
        """`norm`, which is affine as ours all are, with its parameters and buffers."""
        shared = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        shared.__dict__.update(norm.__dict__)
        return shared

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return super().forward(x)
        y, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        if self.running_mean is None:
            return y
        with torch.no_grad():
            assert self.momentum is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        return y


def _require_shareable(model: nn.Module) -> None:
    """ConfigError if `model` draws masks, which a process would draw for its rows of a batch alone.

    Also if it has layers that send some images through one batch norm and the others through another
    (`splits_batches`): a process may have none for one of them, where the others wait for it.
    """
    splitting = (name for name, module in model.named_modules() if getattr(module, "splits_batches", False))
    if name := next(splitting, None):
        raise ConfigError(
            f"the network splits its batches ('{name}'), of which a device may get one part alone: train it "
            "on one device"
        )
    kind = nn.modules.dropout._DropoutNd
    drawing = (name for name, module in model.named_modules() if isinstance(module, kind) and module.p > 0)
    if name := next(drawing, None):
        raise ConfigError(
            f"the network has dropout ('{name}'), whose masks would differ with the number of devices: train "
            "it on one device"
        )


def share_batch_norms(model: nn.Module) -> None:
    """Replaces every nn.BatchNorm2d inside `model` by a `SharedBatchNorm2d` that has its tensors.

    ConfigError if the network has dropout, or splits its batches.
    """
    _require_shareable(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, SharedBatchNorm2d.of(child))


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias; also mean and variance by channel, and the count.

    Two passes: the sum of squares minus the square of the sum would cancel. Statistics are float32 at least.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = widen(x)
        sums = torch.cat([wide.sum(dim=(0, 2, 3)), wide.new_full((1,), x.numel() // x.shape[1])])
        dist.all_reduce(sums)
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = wide - mean.view(1, -1, 1, 1)
        squares = centred.square().sum(dim=(0, 2, 3))
        dist.all_reduce(squares)
        variance = squares / count
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        y = torch.addcmul(bias.view(1, -1, 1, 1), centred, (scale * weight).view(1, -1, 1, 1))
        return y.to(x.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        x, weight, mean, scale, count = ctx.saved_tensors
        normalised = (widen(x) - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1)
        wide = widen(grad)
        own = torch.stack([wide.sum(dim=(0, 2, 3)), (wide * normalised).sum(dim=(0, 2, 3))])
        everyone = own.clone()
        dist.all_reduce(everyone)
        shift, slope = (everyone / count).view(2, 1, -1, 1, 1)
        inner = (wide - shift - normalised * slope) * (scale * weight).view(1, -1, 1, 1)
        return inner.to(x.dtype), own[1], own[0], None
