"""A linear classifier of pixels, which begins at zero: its problem is convex, a draw decides nothing."""

from torch import Tensor, nn

from robustfront.config.images import Normalisation
from robustfront.config.networks import linear
from robustfront.models.classifier import Classifier


class Linear(Classifier):
    """The network that `config` describes; its features are the normalised pixels."""

    def __init__(
        self, config: linear.Linear, *, channels: int, classes: int, normalisation: Normalisation
    ) -> None:
        super().__init__(normalisation)
        self.head = nn.Linear(config.inputs, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor) -> Tensor:
        return self.normalise(x).flatten(1)
