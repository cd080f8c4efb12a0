"""The gradient conflict of a linear model of two classes, image by image and in closed form (S001, Figure 2).

For f(x) = w x + b, labels y = -1 or 1 and p = 1 / (1 + exp(y f(x))), the gradient of log(1 + exp(-y f(x))) to
(w, b) is g_c = -y p (x, 1). At x' = x - y delta sign(w), where the loss is largest within |e|_inf <= delta,
it is g_a = -y q (x', 1), with q of the logit y f(x) - delta |w|_1. Both are those of Eq. 3, whose x' may
leave the box of valid images.

Theorem 1 bounds mu = |g_c| |g_a| (1 - cos) by lambda_max(H^T H) |e|^2 / 2 with H = d g_c / d x, to first
order in e. In |e|_inf <= delta, |e|^2 <= d delta^2 (the appendix sums d squares and writes d^2 delta^2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from robustfront.analysis.subject import Result, Subject
from robustfront.data.augment import to_float
from robustfront.methods.linear_at import require_linear

if TYPE_CHECKING:
    from robustfront.config.analyses.linear_conflict import LinearConflict
    from robustfront.models import Classifier


def analyse(subject: Subject, wanted: LinearConflict) -> Result:
    """Arrays of all test images: `conflict`, `cosine`, `clean_norm`, `adversarial_norm`, `bound`, (N,) each.

    `embedding` (2, M, 2): places by t-SNE of the clean and of the adversarial gradients of M images, `labels`
    (M,) theirs. Facts: `clean_accuracy`, `adversarial_accuracy` at the worst points; `mean` of each array;
    `of_mean_gradient`: the same measures of the gradients of the whole test set; `dimension` d; `delta`;
    `separation`, which see.
    """
    require_linear(subject.model)
    weight, bias = pixel_weights(subject.model)
    x = to_float(subject.test.images).flatten(1).double().cpu().numpy()
    y = 2 * subject.test.labels.cpu().numpy() - 1
    clean, adversarial = gradients(weight, bias, x, y, wanted.delta)
    margin = y * (x @ weight + bias)
    arrays = measures(clean, adversarial) | {"bound": bounds(weight, bias, x, y, wanted.delta)}
    whole = measures(clean.mean(axis=0)[None], adversarial.mean(axis=0)[None])
    facts: dict[str, Any] = {
        "delta": wanted.delta,
        "dimension": x.shape[1],
        "clean_accuracy": float((margin > 0).mean()),
        "adversarial_accuracy": float((margin - wanted.delta * np.abs(weight).sum() > 0).mean()),
        "mean": {name: float(values.mean()) for name, values in arrays.items()},
        "of_mean_gradient": {name: float(values[0]) for name, values in whole.items()},
    }
    chosen = np.random.default_rng(wanted.seed).permutation(len(x))[: wanted.images]
    shown = np.concatenate([clean[chosen], adversarial[chosen]])
    facts["separation"] = separation(clean[chosen], adversarial[chosen])
    arrays |= {"embedding": _embedded(shown, wanted), "labels": subject.test.labels.cpu().numpy()[chosen]}
    return {name: torch.from_numpy(_single(values)) for name, values in arrays.items()}, facts


def pixel_weights(model: Classifier) -> tuple[np.ndarray, float]:
    """w (d,) and b of f(x) = w x + b, the second logit less the first, of pixels as they are."""
    difference = (model.head.weight[1] - model.head.weight[0]).detach().double().cpu()
    channels = model.mean.shape[1]
    by_channel = difference.view(channels, -1) / model.std.double().cpu().view(channels, 1)
    offset = (by_channel * model.mean.double().cpu().view(channels, 1)).sum()
    bias = (model.head.bias[1] - model.head.bias[0]).detach().double().cpu() - offset
    return by_channel.flatten().numpy(), float(bias)


def gradients(
    weight: np.ndarray, bias: float, x: np.ndarray, y: np.ndarray, delta: float
) -> tuple[np.ndarray, np.ndarray]:
    """g_c and g_a of each image x (N, d) with label y, -1 or 1, to (w, b): (N, d + 1) each."""
    margin = y * (x @ weight + bias)
    worst = x - delta * y[:, None] * np.sign(weight)
    found = []
    for points, logits in ((x, margin), (worst, margin - delta * np.abs(weight).sum())):
        wrong = y / (1 + np.exp(np.clip(logits, -700, 700)))
        found.append(-wrong[:, None] * np.concatenate([points, np.ones((len(x), 1))], axis=1))
    return found[0], found[1]


def measures(clean: np.ndarray, adversarial: np.ndarray) -> dict[str, np.ndarray]:
    """Of gradients (N, P): `conflict`, `cosine`, `clean_norm`, `adversarial_norm`, (N,) each."""
    lengths = np.linalg.norm(clean, axis=1), np.linalg.norm(adversarial, axis=1)
    both = lengths[0] * lengths[1]
    cosine = (clean * adversarial).sum(axis=1) / np.maximum(both, np.finfo(float).tiny)
    return {
        "conflict": both * (1 - cosine),
        "cosine": cosine,
        "clean_norm": lengths[0],
        "adversarial_norm": lengths[1],
    }


def bounds(weight: np.ndarray, bias: float, x: np.ndarray, y: np.ndarray, delta: float) -> np.ndarray:
    """lambda_max(H^T H) d delta^2 / 2 of each image, (N,).

    H = -y p I + p (1 - p) (x, 1) w^T, the identity being that of the d rows of w. H^T H is p^2 I but for the
    span of x and w, in which it is a matrix of 2 x 2; images along w have a span of one dimension.
    """
    p = 1 / (1 + np.exp(np.clip(y * (x @ weight + bias), -700, 700)))
    a, b = -y * p, p * (1 - p)
    along = weight / max(np.linalg.norm(weight), np.finfo(float).tiny)
    across = x - (x @ along)[:, None] * along
    rest = np.linalg.norm(across, axis=1)
    w2 = np.array([np.linalg.norm(weight), 0.0])
    largest = np.empty(len(x))
    for row in range(len(x)):
        x2 = np.array([x[row] @ along, rest[row]])
        matrix = a[row] ** 2 * np.eye(2) + a[row] * b[row] * (np.outer(x2, w2) + np.outer(w2, x2))
        matrix += b[row] ** 2 * (x[row] @ x[row] + 1) * np.outer(w2, w2)
        largest[row] = max(a[row] ** 2, np.linalg.eigvalsh(matrix)[-1])
    return largest * x.shape[1] * delta**2 / 2


def separation(clean: np.ndarray, adversarial: np.ndarray) -> float:
    """How well the nearest other gradient tells a clean from an adversarial one: 0.5 by chance, 1 always.

    The share of gradients whose nearest neighbour, but for the two of the same image, is of their own kind.
    """
    points = np.concatenate([clean, adversarial])
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    count = len(clean)
    same_image = np.arange(2 * count) % count
    distances[same_image[:, None] == same_image] = np.inf
    nearest = distances.argmin(axis=1)
    return float(((nearest < count) == (np.arange(2 * count) < count)).mean())


def _embedded(points: np.ndarray, wanted: LinearConflict) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(wanted.perplexity, (len(points) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=wanted.seed, n_jobs=1)
    return tsne.fit_transform(points.astype(np.float32)).reshape(2, -1, 2)


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) if values.dtype == np.float64 else values
