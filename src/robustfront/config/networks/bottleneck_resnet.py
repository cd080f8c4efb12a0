"""Residual network of bottleneck blocks with batch norm (He et al. 2016; Zagoruyko and Komodakis 2016)."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.quantities import Count

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks in each stage, by depth."""

EXPANSION = 4
"""Channels between blocks, in those of the 3x3 convolution of a network that is not widened."""

ACTIVATION_BYTES = 0.6
"""Kept for a backward pass, per FLOP of a forward pass and times its width (measured: 0.59, float32)."""


@networks.register
class BottleneckResNet(NetworkConfig):
    """3x3 stem of stride 1 without pooling, four stages of bottleneck blocks, a linear head."""

    built_by: ClassVar[str] = "robustfront.models.bottleneck_resnet:BottleneckResNet"

    arch: Literal["bottleneck_resnet"] = "bottleneck_resnet"
    depth: Literal[50, 101] = Field(50, description="50, 101: (3, 4, 6, 3), (3, 4, 23, 3) blocks per stage")
    width: Count = Field(64, description="channels of the stem; a block of stage s has 4 * 2^s times as many")
    factor: Count = Field(2, description="how much wider the 3x3 convolutions of the blocks are; WRN-50-2: 2")
    batch_norm: BatchNorm = Tracked()

    @property
    def feature_count(self) -> int:
        return 8 * EXPANSION * self.width

    def widening(self, features: int) -> tuple[str, int]:
        return "width", -(-features // (8 * EXPANSION))

    def parameters(self, *, channels: int, classes: int) -> int:
        total = (9 * channels + 2) * self.width
        for inputs, inner, outputs, _, changes in self.block_shapes():
            total += inputs * inner + 9 * inner**2 + inner * outputs + 4 * inner + 2 * outputs
            total += (inputs + 2) * outputs if changes else 0
        return total + (self.feature_count + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * self.width * size**2
        for inputs, inner, outputs, stride, changes in self.block_shapes():
            total += inputs * inner * size**2
            size = -(-size // stride)
            kernels = 9 * inner**2 + inner * outputs + (inputs * outputs if changes else 0)
            total += kernels * size**2
        return 2 * (total + self.feature_count * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        flops = self.forward_flops(channels=channels, size=size, classes=classes)
        return flops * ACTIVATION_BYTES / (self.width * self.factor)

    def block_shapes(self) -> Iterator[tuple[int, int, int, int, bool]]:
        """(channels in, of the 3x3 convolution, out, stride, whether the shortcut is a convolution)."""
        inputs = self.width
        for stage, blocks in enumerate(BLOCKS[self.depth]):
            base = self.width * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                yield inputs, base * self.factor, base * EXPANSION, stride, not block
                inputs = base * EXPANSION
