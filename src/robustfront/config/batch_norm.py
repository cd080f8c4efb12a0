"""What a network's batch norms normalise by in eval mode; in train mode it is the batch, always."""

from typing import Annotated, Any, Literal

from pydantic import Field

from robustfront.config.lasting import Config, added
from robustfront.config.quantities import Count


def _tracked() -> Any:
    return added(
        (), before=(), description="names of batch norms of the network that are tracked all the same"
    )


class Tracked(Config):
    """By statistics that were averaged along the training."""

    kind: Literal["tracked"] = "tracked"


class Untracked(Config):
    """By the batch, also at test time: an image's prediction depends on the other images of its batch."""

    kind: Literal["untracked"] = "untracked"
    tracked: tuple[str, ...] = _tracked()


class Reestimated(Config):
    """Untracked while it is trained, attacked and judged there; afterwards by statistics of training images.

    The weights stay as they were trained. Mean and variance of each batch norm, those of the `tracked` ones
    too, are the averages of those of so many batches of training images, as they are stored: what the
    statistics stand in for at test time are batches of images that nobody augmented either.
    """

    kind: Literal["re-estimated"] = "re-estimated"
    tracked: tuple[str, ...] = _tracked()
    batches: Count = Field(description="batches of training.batch_size training images")


BatchNorm = Annotated[Tracked | Untracked | Reestimated, Field(discriminator="kind")]
