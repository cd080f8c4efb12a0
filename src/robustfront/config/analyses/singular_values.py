"""Singular values of the layers of a network."""

from typing import ClassVar, Literal

from robustfront.config.analyses.base import AnalysisConfig, analyses


@analyses.register
class SingularValuesAnalysis(AnalysisConfig):
    """Spectra of convolutions and linear layers: on the grid of pixels, and of the kernel as one matrix."""

    made_by: ClassVar[str] = "robustfront.analysis.singular_values:analyse"

    kind: Literal["singular-values"] = "singular-values"

    def passes(self, images: int) -> float:
        return 1
