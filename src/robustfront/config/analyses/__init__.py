"""What is computed from trained models beside their evaluation, as configs: one file per idea.

`analysis` makes them.
"""

from robustfront.config.analyses.base import Analysis, AnalysisConfig, analyses
from robustfront.config.registry import read_package

__all__ = ["Analysis", "AnalysisConfig", "analyses"]

read_package(__path__, __name__)
