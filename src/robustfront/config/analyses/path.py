"""One image's way through an attack."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from robustfront.config.analyses.base import AnalysisConfig, analyses
from robustfront.config.quantities import Count, Seed
from robustfront.config.schema import Ascent, Threat

Position = Annotated[int, Field(strict=True, ge=0, le=10**9)]


@analyses.register
class PathAnalysis(AnalysisConfig):
    """The way of one image under plain and under projected attack steps (S000, Figure 2b)."""

    made_by: ClassVar[str] = "robustfront.analysis.path:analyse"
    needs_start: ClassVar[bool] = True

    kind: Literal["path"] = "path"
    image: Position = Field(0, description="which test image, from 0")
    points: Count = Field(41, description="grid points along each axis of the surface")
    threat: Threat
    attack: Ascent
    seed: Seed = Field(0, description="draws the attack's start")

    @property
    def positions(self) -> dict[str, int]:
        return {"image": self.image}

    @property
    def ascents(self) -> Mapping[str, tuple[Ascent, Threat]]:
        return {"attack": (self.attack, self.threat)}

    def passes(self, images: int) -> float:
        # A surface, two ways and the features along them.
        return self.points**2 + 2 * 2 * self.attack.steps + 2 * (self.attack.steps + 2) + 1
