"""A network that gives logits alone, such as those of public model zoos, where no method needs features."""

from torch import Tensor, nn

from robustfront.config.images import Normalisation
from robustfront.errors import ConfigError
from robustfront.models.classifier import Classifier


class LogitsOnly(Classifier):
    """Any module from normalised images (B, C, H, W) to logits (B, classes), as it is.

    A module that normalises by itself gets a `normalisation` of mean 0 and std 1. ConfigError where features
    or head are asked for.
    """

    def __init__(self, network: nn.Module, *, classes: int, normalisation: Normalisation) -> None:
        super().__init__(normalisation)
        self.network, self._classes = network, classes

    @property
    def classes(self) -> int:
        return self._classes

    @property
    def head(self) -> nn.Linear:  # type: ignore[override]
        raise self._refusal()

    def features(self, x: Tensor) -> Tensor:
        raise self._refusal()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalise(x))
        return logits

    def _refusal(self) -> ConfigError:
        return ConfigError(
            f"network {type(self.network).__name__} gives logits alone, and this method, attack or analysis "
            "needs its features and its linear head: build it as a Classifier that has both"
        )
