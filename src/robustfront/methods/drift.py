"""How far a network has moved from the one it started as: Remark 3.1 of S000 as a measurement.

The proof (Eq. 20-22) writes f_adv(x) - f_std(x) = (W - W_std) H with a head that was updated inside
Null(W_std), and one H for both models. With trained features there are two, and exactly

    f(x) - f_std(x)  =  (W - W_std) h_std(x)  +  W (h(x) - h_std(x)) + b - b_std
                        what Eq. 22 says         what it leaves out

The second part vanishes while features and bias are frozen. (A difference of logits, C numbers, cannot lie in
Null(W_std), a space of features; the rows of W - W_std can, and `head_offset_in_row_space` says whether.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from robustfront.models import Classifier
    from robustfront.models.nullspace import NullSpace

BATCH = 500
"""Images per forward pass."""


@dataclass(frozen=True)
class Drift:
    """On N images: `logits` f - f_std, `head` (W - W_std) h_std, both (N, C), `features` h - h_std (N, D)."""

    logits: Tensor
    head: Tensor
    features: Tensor

    @property
    def rest(self) -> Tensor:
        """What Eq. 22 leaves out, (N, C)."""
        return self.logits - self.head

    def summary(self, space: NullSpace) -> dict[str, float]:
        """Root mean squares over the images, in units of the logits, and where the features went.

        `logit_drift` is that of f - f_std, `logit_drift_head` of the part that Eq. 22 names,
        `logit_drift_rest` of what it leaves out; `feature_drift_null_share` the share of h - h_std in the
        null space, absent where the features have not moved.
        """
        parts = {"logit_drift": self.logits, "logit_drift_head": self.head, "logit_drift_rest": self.rest}
        found = {name: root_mean_square(part) for name, part in parts.items()}
        share = space.share(self.features)
        return found if share is None else found | {"feature_drift_null_share": share}


class Start:
    """The network a training starts from, on fixed images: W_std, b_std and h_std(x)."""

    def __init__(self, model: Classifier, images: Tensor) -> None:
        """`images` uint8 (N, C, H, W) on the model's device."""
        self.images = images
        self.weight, self.bias = _head(model)
        self.features = _features(model, images)

    @property
    def logits(self) -> Tensor:
        """f_std, float64 (N, C)."""
        return self.features @ self.weight.mT + self.bias

    def drift(self, model: Classifier) -> Drift:
        """Where `model` is now. It runs in eval mode and float32; its mode is put back."""
        weight, bias = _head(model)
        features = _features(model, self.images)
        return Drift(
            logits=features @ weight.mT + bias - self.logits,
            head=self.features @ (weight - self.weight).mT,
            features=features - self.features,
        )


def root_mean_square(vectors: Tensor) -> float:
    """Root of the mean of |v|^2 over the rows of (N, C)."""
    return vectors.square().sum(dim=1).mean().sqrt().item()


def _head(model: Classifier) -> tuple[Tensor, Tensor]:
    """Weight and bias as they are now, in float64."""
    return model.head.weight.detach().double().clone(), model.head.bias.detach().double().clone()


def _features(model: Classifier, images: Tensor) -> Tensor:
    """h(x) in float64, (N, D)."""
    import torch

    from robustfront.data.augment import to_float

    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = torch.cat([model.features(to_float(batch)) for batch in images.split(BATCH)]).double()
    model.train(was_training)
    return found
