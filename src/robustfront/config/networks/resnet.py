"""Residual network for small images (He et al. 2015), activation after the sum: settings and cost."""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.preact_resnet import BLOCKS
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.quantities import Count, Flag


@networks.register
class ResNet(NetworkConfig):
    """3x3 stem without pooling, four stages of basic blocks, a linear head.

    `branch_relu`: in the code of GAT and NuAT; kept off everywhere else.
    """

    built_by: ClassVar[str] = "robustfront.models.resnet:ResNet"

    arch: Literal["resnet"] = "resnet"
    depth: Literal[10, 18, 34] = Field(18, description="10, 18, 34: 1, 2, (3, 4, 6, 3) blocks per stage")
    width: Count = Field(64, description="channels of the first stage; doubles at each later one")
    branch_relu: Flag = Field(
        False, description="a further ReLU after the second batch norm of a block, before the sum"
    )
    batch_norm: BatchNorm = Tracked()

    @property
    def feature_count(self) -> int:
        return 8 * self.width

    def widening(self, features: int) -> tuple[str, int]:
        return "width", math.ceil(features / 8)

    def parameters(self, *, channels: int, classes: int) -> int:
        total = 9 * channels * self.width + 2 * self.width
        for inputs, outputs, stride in self._block_shapes():
            total += 9 * inputs * outputs + 9 * outputs**2 + 4 * outputs
            total += (inputs + 2) * outputs if stride != 1 else 0
        return total + (8 * self.width + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * self.width * size**2
        for inputs, outputs, stride in self._block_shapes():
            size = -(-size // stride)
            kernels = 9 * inputs * outputs + 9 * outputs**2
            kernels += inputs * outputs if stride != 1 else 0
            total += kernels * size**2
        return 2 * (total + 8 * self.width * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        kept = (channels + 2 * self.width) * size**2  # the image; the stem before and after its batch norm
        for inputs, outputs, stride in self._block_shapes():
            size = -(-size // stride)
            # Each convolution's result, the first one after its ReLU, and the sum after its own.
            kept += (4 + self.branch_relu) * outputs * size**2
            kept += (inputs + outputs) * size**2 if stride != 1 else 0
        return 4 * (kept + 8 * self.width)

    def _block_shapes(self) -> Iterator[Shape]:
        widths = [self.width * factor for factor in (1, 1, 2, 4, 8)]
        return block_shapes(widths, BLOCKS[self.depth])
