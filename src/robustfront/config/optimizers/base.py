"""What every optimiser is told."""

from pydantic import Field

from robustfront.config.lasting import Config, added
from robustfront.config.quantities import Flag, NonNegative, Positive


class OptimizerConfig(Config):
    """Base of all optimisers."""

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
