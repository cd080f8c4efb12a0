"""Residual network that is told a number by FiLM (Wang et al. 2020), or not: its settings and its cost."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.film import FILM, Film, norm_multiplications, norm_parameters, usual
from robustfront.config.networks.preact_resnet import ACTIVATION_BYTES, BLOCKS
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.quantities import Count


@networks.register
class FilmResNet(NetworkConfig):
    """3x3 stem without pooling, four stages of post-activation basic blocks, a linear head; FiLM."""

    built_by: ClassVar[str] = "robustfront.models.film_networks:residual"

    arch: Literal["film_resnet"] = "film_resnet"
    depth: Literal[10, 18, 34] = Field(34, description="10, 18, 34: 1, 2, (3, 4, 6, 3) blocks per stage")
    width: Count = Field(64, description="channels of the first stage; doubles at each later one")
    film: Film | None = FILM

    @property
    def usual(self) -> float | None:
        return usual(self.film)

    @property
    def feature_count(self) -> int:
        return 8 * self.width

    def widening(self, features: int) -> tuple[str, int]:
        return "width", -(-features // 8)

    def parameters(self, *, channels: int, classes: int) -> int:
        total = 9 * channels * self.width + norm_parameters(self.film, self.width)
        for inputs, outputs, stride in self.block_shapes():
            total += 9 * inputs * outputs + 9 * outputs**2 + 2 * norm_parameters(self.film, outputs)
            if stride != 1 or inputs != outputs:
                total += inputs * outputs + norm_parameters(self.film, outputs, residual=False)
        return total + (8 * self.width + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * self.width * size**2 + norm_multiplications(self.film, self.width)
        for inputs, outputs, stride in self.block_shapes():
            size = -(-size // stride)
            total += (9 * inputs * outputs + 9 * outputs**2) * size**2
            total += 2 * norm_multiplications(self.film, outputs)
            if stride != 1 or inputs != outputs:
                total += inputs * outputs * size**2
                total += norm_multiplications(self.film, outputs, residual=False)
        return 2 * (total + 8 * self.width * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        flops = self.forward_flops(channels=channels, size=size, classes=classes)
        return flops * ACTIVATION_BYTES / self.width

    def block_shapes(self) -> Iterator[Shape]:
        widths = [self.width * factor for factor in (1, 1, 2, 4, 8)]
        return block_shapes(widths, BLOCKS[self.depth])
