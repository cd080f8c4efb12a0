"""Residual network of 6n + 2 layers without batch norm (Zhang et al. 2019): its settings and its cost."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, Strict, model_validator

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.quantities import Count, Flag

ACTIVATION_BYTES = 0.35
"""Kept for a backward pass, per FLOP of a forward pass and times the width (measured: 0.15, with batch norm
0.30)."""


def _six_n_plus_two(depth: int) -> int:
    if depth % 6 != 2:
        raise ValueError("must be 6 n + 2: 8, 14, 20, 56, 110")
    return depth


@networks.register
class FixupResNet(NetworkConfig):
    """3x3 stem, three stages of n basic blocks, shortcuts without parameters, a linear head."""

    built_by: ClassVar[str] = "robustfront.models.fixup_resnet:FixupResNet"

    arch: Literal["fixup_resnet"] = "fixup_resnet"
    depth: Annotated[int, Strict(), AfterValidator(_six_n_plus_two)] = Field(
        56, ge=8, le=1202, description="6 n + 2 with n blocks per stage; has depth - 1 convolutions"
    )
    width: Count = Field(16, description="channels of the first stage; doubles at each later one")
    scalars: Flag = Field(
        False, description="Fixup's scalar biases and multipliers, which change the norms of layers"
    )
    norm: Literal["none", "batch"] = Field(
        "none", description="batch: the usual network, with batch norm after each convolution"
    )
    batch_norm: BatchNorm = Tracked()

    @model_validator(mode="after")
    def is_one_or_the_other(self) -> "FixupResNet":
        if self.norm == "batch" and self.scalars:
            raise ValueError("scalars: batch norm has its own; set one of `scalars` and `norm: batch`")
        if self.norm == "none" and self.batch_norm != Tracked():
            raise ValueError("batch_norm: there is none in this network; set `norm: batch`")
        return self

    @property
    def blocks(self) -> int:
        """n, of each stage."""
        return (self.depth - 2) // 6

    @property
    def feature_count(self) -> int:
        return 4 * self.width

    def widening(self, features: int) -> tuple[str, int]:
        return "width", -(-features // 4)

    def parameters(self, *, channels: int, classes: int) -> int:
        shapes = list(self.block_shapes())
        total = 9 * channels * self.width + sum(9 * a * b + 9 * b**2 for a, b, _ in shapes)
        if self.norm == "batch":
            total += 2 * self.width + sum(4 * b for _, b, _ in shapes)
        if self.scalars:
            total += 2 + 5 * len(shapes)
        return total + (self.feature_count + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * self.width * size**2
        for inputs, outputs, stride in self.block_shapes():
            size = -(-size // stride)
            total += 9 * (inputs * outputs + outputs**2) * size**2
        return 2 * (total + self.feature_count * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        flops = self.forward_flops(channels=channels, size=size, classes=classes)
        return flops * ACTIVATION_BYTES / self.width

    def block_shapes(self) -> Iterator[Shape]:
        widths = [self.width * factor for factor in (1, 1, 2, 4)]
        return block_shapes(widths, [self.blocks] * 3)
