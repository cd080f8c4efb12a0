"""What every network is told, and what it says of itself before it is built."""

from typing import ClassVar, Self

from pydantic import Field, SerializeAsAny, model_validator

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.registry import Kind, Kinds

networks: Kinds["NetworkConfig"] = Kinds("network", key="arch", usual="preact_resnet")


class NetworkConfig(Kind):
    """Base of all networks. A subclass says by which name it is known: `arch: Literal["mine"] = "mine"`.

    Costs are in closed form, and None where nobody knows: a plan then shows `?`.
    """

    known: ClassVar[Kinds["NetworkConfig"]] = networks
    built_by: ClassVar[str]
    """`module:function` of (config, *, channels, classes, normalisation) -> Classifier as it begins."""
    pretrained_by: ClassVar[str | None] = None
    """`module:function` of (network), which fills it, in place, with what `pretrained` names."""

    arch: str
    pretrained: str | None = Field(None, description="initial weights; null: from scratch")

    @model_validator(mode="after")
    def pretrained_weights_are_known(self) -> Self:
        if self.pretrained is not None and self.pretrained_by is None:
            raise ValueError(f"pretrained: there are no such weights of {self.arch}; set `pretrained: null`")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        pretraining = self.pretrained_by if self.pretrained is not None else None
        return (self.built_by, pretraining) if pretraining else (self.built_by,)

    @property
    def from_scratch(self) -> Self:
        """The same network without initial weights of others."""
        return self.model_copy(update={"pretrained": None})

    @property
    def statistics(self) -> BatchNorm:
        """What batch norms go by in eval mode: the field `batch_norm`, which a network may have, or not."""
        return getattr(self, "batch_norm", Tracked())

    @property
    def looks_at_batches(self) -> bool:
        """Whether the trained network's answer to an image depends on the others of its batch."""
        return self.statistics.kind == "untracked"

    @property
    def usual(self) -> float | None:
        """The condition that is assumed where none is told; None: the network takes none."""
        return None

    @property
    def feature_count(self) -> int | None:
        """D, the width of the features that the head gets; 0: it gives logits alone; None: not known."""
        return None

    def widening(self, features: int) -> tuple[str, int] | None:
        """The key, and its least value, that gives so many features or more; None: there is no such key."""
        return None

    def parameters(self, *, channels: int, classes: int) -> int | None:
        """Number of trainable parameters (batch-norm statistics and normalisation are buffers)."""
        return None

    def forward_flops(self, *, channels: int, size: int, classes: int) -> int | None:
        """Floating-point operations of one forward pass of one image of size x size pixels.

        A backward pass to the input costs as much again, and one to the weights too. Counted as torch's
        FlopCounterMode does: convolutions and linear layers, a multiply-add as 2, padding as if it were
        image, biases and everything pointwise (batch norm, ReLU, pooling, sums) as nothing.
        """
        return None

    def activation_bytes(self, *, channels: int, size: int, classes: int) -> float | None:
        """What a forward pass of one image keeps for its backward pass, in float32."""
        return None


Model = SerializeAsAny[NetworkConfig]
