"""Wide residual network (Zagoruyko and Komodakis 2016): its settings and its cost."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.quantities import Count, Share


def six_n_plus_4(depth: int) -> int:
    if depth < 10 or depth % 6 != 4:
        raise ValueError("a depth is 6 n + 4, with n blocks in each of three stages: 10, 16, 22, 28, 34, 40")
    return depth


@networks.register
class WideResNet(NetworkConfig):
    """WRN-depth-factor: 3x3 stem of 16 channels, three stages of pre-activation blocks, a linear head."""

    built_by: ClassVar[str] = "robustfront.models.wide_resnet:WideResNet"

    arch: Literal["wide_resnet"] = "wide_resnet"
    depth: Annotated[Count, AfterValidator(six_n_plus_4)] = Field(
        28, description="6 n + 4: n blocks per stage"
    )
    factor: Count = Field(10, description="times as many channels as 16, 32 and 64 in the stages")
    dropout: Share = Field(0.0, description="of the activations between the convolutions of a block")
    batch_norm: BatchNorm = Tracked()

    @property
    def feature_count(self) -> int:
        return 64 * self.factor

    def widening(self, features: int) -> tuple[str, int]:
        return "factor", math.ceil(features / 64)

    def parameters(self, *, channels: int, classes: int) -> int:
        total = 9 * channels * 16
        for inputs, outputs, _ in self._block_shapes():
            total += 2 * inputs + 9 * inputs * outputs + 2 * outputs + 9 * outputs**2
            total += inputs * outputs if inputs != outputs else 0
        return total + 2 * 64 * self.factor + (64 * self.factor + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * 16 * size**2
        for inputs, outputs, stride in self._block_shapes():
            size = -(-size // stride)
            kernels = 9 * inputs * outputs + 9 * outputs**2
            kernels += inputs * outputs if inputs != outputs else 0
            total += kernels * size**2
        return 2 * (total + 64 * self.factor * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        kept = 4 * channels * size**2
        for inputs, outputs, stride in self._block_shapes():
            kept += 4 * 2 * inputs * size**2  # what the block gets, and that after norm and ReLU
            kept += 4 * inputs * (size // stride) ** 2 if stride != 1 else 0  # what the shortcut looks at
            size = -(-size // stride)
            kept += 4 * 2 * outputs * size**2
            kept += 5 * outputs * size**2 if self.dropout else 0  # its result, and the mask in bytes
        return kept + 4 * 64 * self.factor * (2 * size**2 + 1)

    def _block_shapes(self) -> Iterator[Shape]:
        widths = [16, *(channels * self.factor for channels in (16, 32, 64))]
        return block_shapes(widths, [(self.depth - 4) // 6] * 3)
