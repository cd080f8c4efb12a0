"""M-LeNet, the MNIST network of GAT and NuAT: its settings and its cost."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.quantities import Count


@networks.register
class MLeNet(NetworkConfig):
    """Twice two 5x5 convolutions and a 2x2 maximum, a hidden linear layer, a linear head; no batch norm."""

    built_by: ClassVar[str] = "robustfront.models.m_lenet:MLeNet"

    arch: Literal["m_lenet"] = "m_lenet"
    width: Count = Field(32, description="channels of the first two convolutions; the other two have twice")
    hidden: Count = Field(512, description="units of the hidden layer")
    size: Count = Field(28, ge=4, description="height and width of the images, on which the layer depends")

    @property
    def feature_count(self) -> int:
        return self.hidden

    def widening(self, features: int) -> tuple[str, int]:
        return "hidden", features

    def parameters(self, *, channels: int, classes: int) -> int:
        convolutions = sum((25 * inputs + 1) * outputs for inputs, outputs in self._shapes(channels))
        return convolutions + (self._flat + 1) * self.hidden + (self.hidden + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = self._flat * self.hidden + self.hidden * classes
        for layer, (inputs, outputs) in enumerate(self._shapes(channels)):
            total += 25 * inputs * outputs * (size if layer < 2 else size // 2) ** 2
        return 2 * total

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        kept = channels * size**2 + self._flat + self.hidden
        for layer, (_, outputs) in enumerate(self._shapes(channels)):
            kept += outputs * (size if layer < 2 else size // 2) ** 2
        return 4 * (kept + 3 * self.width * (size // 2) ** 2)  # maxima, and in eight bytes where they were

    @property
    def _flat(self) -> int:
        return 2 * self.width * (self.size // 4) ** 2

    def _shapes(self, channels: int) -> list[tuple[int, int]]:
        """(input channels, output channels) of each convolution, in order."""
        wide = 2 * self.width
        return [(channels, self.width), (self.width, self.width), (self.width, wide), (wide, wide)]
