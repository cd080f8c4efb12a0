"""A linear classifier of pixels: its settings and its cost."""

from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.networks.base import NetworkConfig, networks
from robustfront.config.quantities import Count


@networks.register
class Linear(NetworkConfig):
    """One linear layer on the normalised pixels; of two classes, logistic regression."""

    built_by: ClassVar[str] = "robustfront.models.linear:Linear"

    arch: Literal["linear"] = "linear"
    inputs: Count = Field(description="values of an image: channels x height x width")

    @property
    def feature_count(self) -> int:
        return self.inputs

    def parameters(self, *, channels: int, classes: int) -> int:
        return (self.inputs + 1) * classes

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int:
        return 2 * self.inputs * classes

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float:
        return 4 * self.inputs
