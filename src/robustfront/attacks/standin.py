"""The network that a training attack really runs on: a copy that gives the same gradients sooner.

In float32, or with the statistics of the batch, it is the network itself and results stay as they are, bit
for bit. Under autocast to bfloat16 in eval mode it is a folded copy (`models.folded`), made once per network
and refreshed before each attack; on CUDA its passes are replayed as graphs, as starting 200 kernels one by
one takes the host longer than the device takes to run them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from robustfront.models.folded import fold, refresh
from robustfront.models.preact_resnet import PreActResNet

if TYPE_CHECKING:
    from robustfront.models import Classifier

_copies: WeakKeyDictionary[PreActResNet, PreActResNet] = WeakKeyDictionary()


def stand_in(model: Classifier, x: Tensor) -> Classifier:
    """What to attack in place of `model` with images like `x`, until its weights change.

    All that one batch compares, clean and attacked, must go through the same stand-in: near the clean images
    the differences that TRADES ascends are no larger than those between two ways of rounding.
    """
    kind = x.device.type
    if not torch.is_autocast_enabled(kind) or model.training or not isinstance(model, PreActResNet):
        return model
    folded = _copies.get(model)
    if folded is None:
        folded = fold(model, torch.get_autocast_dtype(kind))
        if kind == "cuda":
            _replay_as_graphs(folded, x)
        _copies[model] = folded
    else:
        refresh(folded, model)
    return folded


def _replay_as_graphs(folded: PreActResNet, x: Tensor) -> None:
    """Captures forward and backward of the features for batches shaped like `x`; others run as before."""
    plain, shape, dtype = folded.features, x.shape, torch.get_autocast_dtype("cuda")

    def features(images: Tensor) -> Tensor:  # no cached casts, which would be freed when autocast ends
        with torch.autocast("cuda", dtype, cache_enabled=False):
            return plain(images)

    try:
        with torch.cuda.device(x.device), torch.autocast("cuda", enabled=False):
            graphed = torch.cuda.make_graphed_callables(features, (torch.zeros_like(x).requires_grad_(),))
    except torch.OutOfMemoryError:
        raise  # smaller batches may do
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        warnings.warn(f"training attacks run without CUDA graphs, more slowly: {reason}", stacklevel=2)
        return
    folded.features = lambda images: (graphed if images.shape == shape else features)(images)  # type: ignore
