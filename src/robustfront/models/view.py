"""A network seen in some way: with its parameters, buffers and mode, and other features."""

from torch import Tensor, nn

from robustfront.models.classifier import Classifier


class View(Classifier):
    """Base of views, which define `features` by those of `network`; all else is the network's own."""

    def __init__(self, network: Classifier) -> None:
        nn.Module.__init__(self)  # the normalisation is the network's
        self.network = network
        self.training = network.training

    @property
    def mean(self) -> Tensor:  # type: ignore[override]
        return self.network.mean

    @property
    def std(self) -> Tensor:  # type: ignore[override]
        return self.network.std

    @property
    def head(self) -> nn.Linear:  # type: ignore[override]
        return self.network.head

    @property
    def classes(self) -> int:
        return self.network.classes

    def segments(self) -> list[nn.Module]:
        return self.network.segments()
