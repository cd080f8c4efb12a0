"""What every optimiser is told."""

from typing import ClassVar

from pydantic import Field, SerializeAsAny

from robustfront.config.lasting import added
from robustfront.config.quantities import Flag, NonNegative, Positive
from robustfront.config.registry import Kind, Kinds

optimizers: Kinds["OptimizerConfig"] = Kinds("optimizer", usual="sgd")


class OptimizerConfig(Kind):
    """Base of all optimisers. A subclass says by which name it is known: `kind: Literal["mine"] = "mine"`."""

    known: ClassVar[Kinds["OptimizerConfig"]] = optimizers
    built_by: ClassVar[str]
    """`module:class` of (network, config) -> `training.optimizers.base.GroupedOptimizer`."""

    kind: str

    lr: Positive = Field(description="peak learning rate")
    weight_decay: NonNegative = 5e-4
    decay_norm_and_bias: Flag = Field(
        True, description="weight decay on batch-norm parameters and biases too"
    )
    groups: dict[str, NonNegative] = added(
        {},
        before={},
        description="pattern of parameter names, such as `head.*` -> multiple of lr for them; the first that "
        "fits counts",
    )

    @property
    def named(self) -> tuple[str, ...]:
        return (self.built_by,)


Optimizer = SerializeAsAny[OptimizerConfig]
