"""What attacks and methods may assume of a network: pixels in, features, one linear head, logits out."""

import torch
from torch import Tensor, nn

from robustfront.config.images import Normalisation
from robustfront.models.batch_norm import batch_statistics_layers


class Classifier(nn.Module):
    """Base of all networks: logits = head(features(x)) for images x in [0, 1].

    Normalisation is part of the network, so an attack, whatever space its ball is drawn in, always hands over
    valid pixels. The mean and standard deviation are buffers of shape (1, C, 1, 1): saved with the weights,
    never trained. A subclass sets `head` and defines `features`.
    """

    mean: Tensor
    std: Tensor
    head: nn.Linear

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, -1, 1, 1))

    @property
    def feature_dim(self) -> int:
        """D, the length of a feature vector."""
        return self.head.in_features

    @property
    def classes(self) -> int:
        return self.head.out_features

    def normalise(self, x: Tensor) -> Tensor:
        """(x - mean) / std per channel, for x in [0, 1] of shape (B, C, H, W)."""
        return (x - self.mean) / self.std

    def segments(self) -> list[nn.Module]:
        """Parts, each to one tensor, that may be run twice to save memory; none by default."""
        return []

    @property
    def folds(self) -> bool:
        """Whether the network has a folded form: not where each batch makes its batch norms another map."""
        return type(self).folded is not Classifier.folded and not batch_statistics_layers(self)

    def folded(self, dtype: torch.dtype) -> "Classifier | None":
        """A copy in eval mode for attacks under autocast to `dtype`; None: there is no such form.

        It gives the same gradients, but for rounding, sooner. Its `features` may be replaced by quicker ones.
        """
        return None

    def refold(self, copy: "Classifier") -> None:
        """Gives a `folded` copy the present weights and statistics, in place: CUDA graphs keep addresses."""

    def given(self, condition: Tensor | float) -> "Classifier":
        """The network told `condition`, a value per image (B,) or one for all; itself if it takes none."""
        return self

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (B, D) of images (B, C, H, W) in [0, 1]: what `head` is applied to."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.head(self.features(x))
        return logits
