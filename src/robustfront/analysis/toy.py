"""The paper's toy (S000, Figure 3): three clouds of features, shifted by an attack and by its projection.

Three classes, three features. The rows of W_std point to the corners of an equilateral triangle in the plane
of the first two features, the row space; the third feature is the null space. The attacked head W has moved
on from W_std, as it has during training; while it has not, the projected gradient is 0 (see NPDA's zero
start). No network and no torch is involved: this is a sketch, not evidence.
"""

from dataclasses import dataclass

import numpy as np

CLASSES = 3
W_STD = np.array([[1.0, 0.0, 0.0], [-0.5, 3**0.5 / 2, 0.0], [-0.5, -(3**0.5) / 2, 0.0]])
"""Head of the standard model, (classes, features)."""


@dataclass(frozen=True)
class Toy:
    """`labels` (N,), `features` h (N, 3), shifts (N, 3): `typical` is r g/|g|, `projected` is r P g/|P g|."""

    labels: np.ndarray
    features: np.ndarray
    typical: np.ndarray
    projected: np.ndarray


def simulate(per_class: int = 30, *, radius: float = 2.2, drift: float = 0.15, seed: int = 0) -> Toy:
    """Draws the toy: g = dCE/dh = W^T (p - y) at h, W = W_std + `drift` N(0, 1); shifts are `radius` long."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    spread = generator.normal(scale=(0.35, 0.35, 0.8), size=(len(labels), 3))
    features = 1.6 * W_STD[labels] + spread
    head = W_STD + drift * generator.normal(size=W_STD.shape)
    logits = features @ head.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    gradient = (p - np.eye(CLASSES)[labels]) @ head
    projected = gradient * np.array([0.0, 0.0, 1.0])
    return Toy(labels, features, _scaled(gradient, radius), _scaled(projected, radius))


def _scaled(vectors: np.ndarray, length: float) -> np.ndarray:
    """Each row made `length` long."""
    return length * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
