"""The wide residual network of NuAT's code, which is not that of TRADES: its settings and its cost."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.networks.wide_resnet import six_n_plus_4
from robustfront.config.quantities import Count


@networks.register
class WideResNetBiased(NetworkConfig):
    """WRN-depth-factor; convolutions have biases, and a block's second one halves the image."""

    built_by: ClassVar[str] = "robustfront.models.wide_resnet_biased:WideResNetBiased"

    arch: Literal["wide_resnet_biased"] = "wide_resnet_biased"
    depth: Annotated[Count, AfterValidator(six_n_plus_4)] = Field(
        34, description="6 n + 4: n blocks per stage"
    )
    factor: Count = Field(10, description="times as many channels as 16, 32 and 64 in the stages")
    batch_norm: BatchNorm = Tracked()

    @property
    def feature_count(self) -> int:
        return 64 * self.factor

    def widening(self, features: int) -> tuple[str, int]:
        return "factor", math.ceil(features / 64)

    def parameters(self, *, channels: int, classes: int) -> int:
        total = (9 * channels + 1) * 16
        for inputs, outputs, stride in self._block_shapes():
            total += 2 * inputs + (9 * inputs + 1) * outputs + 2 * outputs + (9 * outputs + 1) * outputs
            total += (inputs + 1) * outputs if stride != 1 or inputs != outputs else 0
        return total + 2 * 64 * self.factor + (64 * self.factor + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * 16 * size**2
        for inputs, outputs, stride in self._block_shapes():
            total += 9 * inputs * outputs * size**2
            size = -(-size // stride)
            shortcut = inputs * outputs if stride != 1 or inputs != outputs else 0
            total += (9 * outputs**2 + shortcut) * size**2
        return 2 * (total + 64 * self.factor * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        kept = channels * size**2
        for inputs, outputs, stride in self._block_shapes():
            kept += 2 * (inputs + outputs) * size**2  # before and after each batch norm with its ReLU
            size = -(-size // stride)
        return 4 * (kept + 64 * self.factor * (2 * size**2 + 1))

    def _block_shapes(self) -> Iterator[Shape]:
        widths = [16, *(channels * self.factor for channels in (16, 32, 64))]
        return block_shapes(widths, [(self.depth - 4) // 6] * 3)
