"""Wide residual network that is told a number by FiLM (Wang et al. 2020), or not: its settings and cost."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.film import FILM, Film, norm_multiplications, norm_parameters, usual
from robustfront.config.networks.preact_resnet import ACTIVATION_BYTES
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.quantities import Count, Share


@networks.register
class FilmWideResNet(NetworkConfig):
    """3x3 stem, three stages of pre-activation blocks, batch norm, a linear head (Zagoruyko 2016); FiLM."""

    built_by: ClassVar[str] = "robustfront.models.film_networks:wide_residual"

    arch: Literal["film_wide_resnet"] = "film_wide_resnet"
    depth: Count = Field(16, description="6 n + 4: n blocks per stage")
    widening_factor: Count = Field(8, description="k of WRN-depth-k")
    width: Count = Field(16, description="channels of the stem; a stage has k, 2 k, 4 k times as many")
    dropout: Share = Field(0.3, description="share of the second convolutions' inputs that is set to 0")
    film: Film | None = FILM

    @field_validator("depth")
    @classmethod
    def depth_is_of_whole_blocks(cls, depth: int) -> int:
        if depth < 10 or (depth - 4) % 6:
            raise ValueError("must be 6 n + 4: 10, 16, 22, 28, 34, 40, ...")
        return depth

    @property
    def usual(self) -> float | None:
        return usual(self.film)

    @property
    def feature_count(self) -> int:
        return 4 * self.width * self.widening_factor

    def parameters(self, *, channels: int, classes: int) -> int:
        total = 9 * channels * self.width
        for inputs, outputs, _ in self.block_shapes():
            total += 9 * inputs * outputs + 9 * outputs**2
            total += norm_parameters(self.film, inputs) + norm_parameters(self.film, outputs)
            total += inputs * outputs if inputs != outputs else 0
        features = self.feature_count
        return total + norm_parameters(self.film, features, residual=False) + (features + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * self.width * size**2
        for inputs, outputs, stride in self.block_shapes():
            size = -(-size // stride)
            kernels = 9 * inputs * outputs + 9 * outputs**2
            kernels += inputs * outputs if inputs != outputs else 0
            total += kernels * size**2
            total += norm_multiplications(self.film, inputs) + norm_multiplications(self.film, outputs)
        features = self.feature_count
        return 2 * (total + norm_multiplications(self.film, features, residual=False) + features * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        flops = self.forward_flops(channels=channels, size=size, classes=classes)
        return flops * ACTIVATION_BYTES / (self.width * self.widening_factor)

    def block_shapes(self) -> Iterator[Shape]:
        widths = [self.width, *(self.width * self.widening_factor * factor for factor in (1, 2, 4))]
        return block_shapes(widths, [(self.depth - 4) // 6] * 3)
