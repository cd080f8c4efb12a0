"""CAAT's weighting network: from six features of an image to a number for each kind of perturbation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfront import losses

if TYPE_CHECKING:
    from torch import Tensor, nn

FEATURES = 6


def weighting_network(hidden: int) -> nn.Module:
    """Batch norm by the batch's own statistics, then 6 -> hidden -> 2 with a ReLU between.

    The published network tracks running statistics besides, but never uses them.
    """
    from torch import nn

    return nn.Sequential(
        nn.BatchNorm1d(FEATURES, track_running_stats=False),
        nn.Linear(FEATURES, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 2),
    )


def image_features(logits: Tensor, y: Tensor, class_losses: Tensor, class_shares: Tensor) -> Tensor:
    """The six features of each image, (B, 6), from its logits (B, C); p is their softmax.

    Cross entropy; that of its class in the last epoch, on average (`class_losses`, (C,)); |p - onehot(y)|,
    the norm of the gradient of the cross entropy with respect to the logits; margin p_y - max_{k != y} p_k;
    sum p log p; share of its class among the training images (`class_shares`, (C,)).
    """
    import torch

    log_p = losses.widen(logits).log_softmax(dim=1)
    p, label = log_p.exp(), y[:, None]
    p_y = p.gather(1, label)
    columns = [
        -log_p.gather(1, label),
        class_losses[y].unsqueeze(1),
        torch.linalg.vector_norm(p.scatter_add(1, label, -torch.ones_like(p_y)), dim=1, keepdim=True),
        p_y - p.scatter(1, label, -1.0).amax(dim=1, keepdim=True),
        (p * log_p).sum(dim=1, keepdim=True),
        class_shares[y].unsqueeze(1),
    ]
    return torch.cat(columns, dim=1)
