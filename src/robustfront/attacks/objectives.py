"""What an attack ascends: (logits (B, C), labels (B,)) -> (B,), a value per image, larger being worse.

A training attack may also ascend one value () of the whole batch, as NuAT does.
"""

from collections.abc import Callable

from torch import Tensor

from robustfront import losses
from robustfront.errors import ConfigError

Objective = Callable[[Tensor, Tensor], Tensor]


def ce(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy."""
    return losses.cross_entropy(logits, labels)


def lse(logits: Tensor, labels: Tensor) -> Tensor:
    """|p - onehot(y)|^2, as SCORE ascends it without a clean image."""
    return losses.squared_error(logits, labels)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max_{k != y} z_k - z_y, positive where the prediction is wrong."""
    logits, label = losses.widen(logits), labels[:, None]
    return logits.scatter(1, label, -float("inf")).amax(dim=1) - logits.gather(1, label).squeeze(1)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio: the margin over z_(1) - z_(3) (Croce & Hein 2020, Eq. 6).

    Raises ConfigError below 3 classes.
    """
    if logits.shape[1] < 3:
        raise ConfigError(
            f"objective 'dlr' needs 3 or more classes, not {logits.shape[1]}; use 'margin' or 'ce'"
        )
    first, _, third = losses.widen(logits).topk(3, dim=1).values.unbind(dim=1)
    return margin(logits, labels) / (first - third + 1e-12)


def likeliest_wrong(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """The classes that targeted attacks turn to, the likeliest first, int64 (B, min(count, C - 1))."""
    wrong = logits.scatter(1, labels[:, None], -float("inf"))
    return wrong.topk(min(count, logits.shape[1] - 1), dim=1).indices


def kl_to(reference_logits: Tensor) -> Objective:
    """KL(p_ref || p) from fixed logits (B, C), as TRADES ascends it; no gradient at p = p_ref."""
    reference = reference_logits.detach()
    return lambda logits, labels: losses.kl_divergence(reference, logits)


def lse_to(reference_probs: Tensor) -> Objective:
    """|p - p_ref|^2 from fixed probabilities (B, C), as SCORE ascends it; no gradient at p = p_ref."""
    reference = losses.widen(reference_probs.detach())
    return lambda logits, labels: losses.squared_norm(losses.widen(logits).softmax(dim=1) - reference)
