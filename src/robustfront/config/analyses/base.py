"""What an analysis of a trained model says of itself before it is made."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, SerializeAsAny

from robustfront.config.quantities import Count
from robustfront.config.registry import Kind, Kinds
from robustfront.config.schema import Ascent, Threat

analyses: Kinds["AnalysisConfig"] = Kinds("analysis")


class AnalysisConfig(Kind):
    """Base of all analyses. A subclass says by which name it is known: `kind: Literal["mine"] = "mine"`.

    An analysis is listed under `analyses:` of a scale. It is done on each of its `runs` that the scale has,
    once per data set, for the scale's first seed. Lengths are in pixel units or in those of a threat model's
    space.
    """

    known: ClassVar[Kinds["AnalysisConfig"]] = analyses
    made_by: ClassVar[str]
    """`module:function` of (`analysis.subject.Subject`, analysis) -> arrays by name, facts."""
    needs_start: ClassVar[bool] = False
    """Whether it compares a run with the one it starts from, by the null space of that one's head."""

    of_batches: ClassVar[bool] = False
    """Whether it is of whole batches, so that networks that look at their batch can be analysed, too."""

    needs_train: ClassVar[bool] = False
    """Whether it looks at training images as well, as they are stored."""

    kind: str
    runs: tuple[str, ...] = Field(
        min_length=1, description="names under `runs`; those that the scale leaves out are skipped"
    )
    batch_size: Count = Field(1000, description="images per forward pass")

    @property
    def named(self) -> tuple[str, ...]:
        return (self.made_by,)

    @property
    def positions(self) -> dict[str, int]:
        """Key -> position of the test image that it asks for, from 0."""
        return {}

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        """Key -> a gradient ascent that it makes, and its ball; plans warn if it misses the ball."""
        return {}

    def passes(self, images: int) -> float | None:
        """Passes of it on one run, with so many test images to choose from; None: nobody knows."""
        return None


Analysis = SerializeAsAny[AnalysisConfig]
