"""What the contents page says of a study; recorded with the study's own page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robustfront.reporting.build import Built
from robustfront.reporting.completeness import Lacking
from robustfront.reporting.metrics import metrics
from robustfront.reporting.results import Results
from robustfront.reporting.sections import ClaimsSection


def summarise(results: Results, lacking: Lacking, built: Sequence[Built], folder: Path) -> dict[str, Any]:
    """Plain values for a record: label, runs, what is lacking or failed, verdicts on claims, metrics."""
    judged = [one.section for one in built if isinstance(one.section, ClaimsSection) and not one.failed]
    return {
        "label": results.label,
        "runs": len(results.runs),
        "lacking": lacking.runs,
        "failed": [one.section.short for one in built if one.failed],
        "claims": [count for section in judged for count in section.counts(folder)],
        "metrics": metrics(results),
    }
