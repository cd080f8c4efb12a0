"""Pre-activation residual network for small images (He et al. 2016): its settings and its cost."""

import math
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.lasting import added
from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.networks.stages import Shape, block_shapes
from robustfront.config.quantities import Count, Flag

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks in each stage, by depth (which counts the 3x3 convolutions and the head)."""

ACTIVATION_BYTES = 0.35
"""Kept for a backward pass, per FLOP of a forward pass and times the width (measured: 0.21 to 0.33, float32).
The FLOP that an activation takes are proportional to the channels below it, so the width divides."""


@networks.register
class PreActResNet(NetworkConfig):
    """3x3 stem without pooling, four stages of basic blocks, a linear head."""

    built_by: ClassVar[str] = "robustfront.models.preact_resnet:PreActResNet"
    pretrained_by: ClassVar[str | None] = "robustfront.models.pretrained:load_imagenet"

    arch: Literal["preact_resnet"] = "preact_resnet"
    depth: Literal[10, 18, 34] = Field(18, description="10, 18, 34: 1, 2, (3, 4, 6, 3) blocks per stage")
    width: Count = Field(64, description="channels of the first stage; doubles at each later one")
    final_norm: Flag = Field(True, description="batch norm + ReLU after the last block, before pooling")
    hidden: Count | None = Field(
        None,
        description="width of an extra linear layer before the head; 2x: twice that of the features it gets; "
        "null: none",
    )
    pretrained: Literal["imagenet"] | None = Field(None, description="initial weights; null: from scratch")
    batch_norm: BatchNorm = added(Tracked(), before=Tracked())

    @model_validator(mode="before")
    @classmethod
    def hidden_in_widths_of_the_features(cls, data: Any) -> Any:
        if isinstance(data, dict) and re.fullmatch("[1-9][0-9]*x", str(data.get("hidden"))):
            width = data.get("width", cls.model_fields["width"].default)
            if isinstance(width, int):
                return data | {"hidden": int(data["hidden"][:-1]) * 8 * width}
        return data

    @model_validator(mode="after")
    def pretrained_weights_exist(self) -> "PreActResNet":
        if self.pretrained is not None and (self.depth, self.width) != (18, 64):
            raise ValueError(
                f"pretrained: {self.pretrained} weights exist for depth 18, width 64, not for depth "
                f"{self.depth}, width {self.width}; change these or set `pretrained: null`"
            )
        return self

    @property
    def feature_count(self) -> int:
        return self.hidden or 8 * self.width

    def widening(self, features: int) -> tuple[str, int]:
        return ("width", math.ceil(features / 8)) if self.hidden is None else ("hidden", features)

    def parameters(self, *, channels: int, classes: int) -> int:
        total = 9 * channels * self.width
        for inputs, outputs, _ in self._block_shapes():
            total += 2 * inputs + 9 * inputs * outputs + 2 * outputs + 9 * outputs**2
            total += inputs * outputs if inputs != outputs else 0
        features = 8 * self.width
        if self.final_norm:
            total += 2 * features
        if self.hidden is not None:
            total += (features + 1) * self.hidden
            features = self.hidden
        return total + (features + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        total = 9 * channels * self.width * size**2
        for inputs, outputs, stride in self._block_shapes():
            size = -(-size // stride)
            kernels = 9 * inputs * outputs + 9 * outputs**2
            kernels += inputs * outputs if inputs != outputs else 0
            total += kernels * size**2
        features = 8 * self.width
        if self.hidden is not None:
            total += features * self.hidden
            features = self.hidden
        return 2 * (total + features * classes)

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        flops = self.forward_flops(channels=channels, size=size, classes=classes)
        return flops * ACTIVATION_BYTES / self.width

    def _block_shapes(self) -> Iterator[Shape]:
        widths = [self.width * factor for factor in (1, 1, 2, 4, 8)]
        return block_shapes(widths, BLOCKS[self.depth])
