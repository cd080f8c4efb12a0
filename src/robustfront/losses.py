"""Losses per image, on logits: the one place where each is written down.

Training takes their mean, attacks ascend them (`attacks.objectives`). They take logits (B, C) and return
(B,), or () where a loss is of the whole batch, and gradients flow through every argument. Half-precision
logits, as autocast makes them, are widened to float32 first. Importing the module does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_y with p the softmax of `logits`; `labels` int64 (B,)."""
    return -widen(logits).log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)


def kl_divergence(reference_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(p_ref || p) of the two softmaxes in nats: the regulariser of TRADES (Zhang et al. 2019, Eq. 5)."""
    log_reference, log_p = widen(reference_logits).log_softmax(dim=1), widen(logits).log_softmax(dim=1)
    return (log_reference.exp() * (log_reference - log_p)).sum(dim=1)


def squared_error(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """|p - t|^2, in [0, 2]: the clean term of SCORE (Pang et al. 2022, Eq. 10).

    t has 1 - smoothing on the label and smoothing / (K - 1) on each of the other K - 1 classes: without
    smoothing this is the Brier score.
    """
    p = widen(logits).softmax(dim=1)
    other = smoothing / (p.shape[1] - 1)
    return squared_norm(
        (p - other).scatter_add(1, labels[:, None], p.new_full((len(p), 1), other + smoothing - 1))
    )


def squared_distance(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """|p_a - p_b|^2 of the two softmaxes, in [0, 2]: the robust term of SCORE (Pang et al. 2022, Eq. 10)."""
    return squared_norm(widen(logits_a).softmax(dim=1) - widen(logits_b).softmax(dim=1))


def distance(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """|p_a - p_b| of the two softmaxes, in [0, sqrt(2)], with the gradient 0 where it is 0: CLP in S001."""
    return (widen(logits_a).softmax(dim=1) - widen(logits_b).softmax(dim=1)).norm(dim=1)


def nuclear_norm(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """|A - B|_*, the sum of the singular values of the difference of two batches of logits, (): NuAT in S004.

    Its gradient is U V^T of the singular value decomposition: finite everywhere, of no meaning where A = B.
    NaN where an entry is not finite.
    """
    import torch

    difference = widen(logits_a) - widen(logits_b)
    try:
        return torch.linalg.matrix_norm(difference, ord="nuc")
    except torch.linalg.LinAlgError:  # what LAPACK says to NaN, before a training could call it divergence
        return difference.sum() * float("nan")


def squared_norm(vectors: Tensor) -> Tensor:
    """|v|^2 of each row, (B, C) -> (B,)."""
    return vectors.square().sum(dim=1)


def widen(logits: Tensor) -> Tensor:
    """`logits` in float32 at least."""
    return logits.float() if logits.dtype.itemsize < 4 else logits
