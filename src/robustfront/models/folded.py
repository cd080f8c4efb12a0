"""A copy of a network for attacks on it in eval mode and half precision, to be run under autocast.

While an attack runs the weights stand still, and in eval mode a batch norm is a fixed affine map. So the copy
holds the convolutions' weights in half precision, cast once per batch instead of once per step, and the
batch norm after the first convolution of each block has gone into that convolution's weights and bias. The
batch norm before it cannot go anywhere: the sum of the residual stream stands between it and a convolution.

The head is the network's own, in float32: what is done at the features, NPDA's projector, stays exact.
"""

import copy

import torch
from torch import Tensor, nn

from robustfront.models.preact_resnet import Block, PreActResNet


def fold(model: PreActResNet, dtype: torch.dtype) -> PreActResNet:
    """A copy of `model` in eval mode, on its device, of which only the head requires gradients."""
    folded = copy.deepcopy(model, {id(model.head): model.head})  # the head is shared
    for block in _blocks(folded).values():
        block.conv1.bias = nn.Parameter(torch.zeros(block.conv1.out_channels, device=model.mean.device))
        block.norm2 = nn.Identity()
    for module in folded.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)
    for name, parameter in folded.named_parameters():
        if not name.startswith("head."):
            parameter.requires_grad_(False)
    refresh(folded, model)
    return folded.eval()


@torch.no_grad()
def refresh(folded: PreActResNet, model: PreActResNet) -> None:
    """Gives the copy the present weights and statistics of `model`, in place: CUDA graphs keep addresses."""
    ours, theirs = _tensors(folded), _tensors(model)
    for name, block in _blocks(model).items():
        norm = block.norm2
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        theirs[f"{name}.conv1.weight"] = block.conv1.weight * scale.view(-1, 1, 1, 1)
        theirs[f"{name}.conv1.bias"] = norm.bias - norm.running_mean * scale
    torch._foreach_copy_(list(ours.values()), [theirs[name] for name in ours])


def _blocks(model: PreActResNet) -> dict[str, Block]:
    return {name: module for name, module in model.named_modules() if isinstance(module, Block)}


def _tensors(model: PreActResNet) -> dict[str, Tensor]:
    """Weights and statistics below the head, by name; they share the network's memory."""
    state = model.state_dict()
    return {name: value for name, value in state.items() if not name.startswith("head.")}
