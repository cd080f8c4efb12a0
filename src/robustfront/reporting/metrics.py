"""The headline numbers of a study, under names that a change of parameters keeps; for `dvc metrics diff`."""

from statistics import fmean
from typing import Any

from robustfront.config.evaluations import views
from robustfront.reporting.results import WORST_CASE, Results


def metrics(results: Results) -> dict[str, Any]:
    """Data set -> run -> suite -> attack -> error in percent, the mean over the seeds that are there."""
    errors: dict[tuple[str, ...], list[float]] = {}
    for run in results.runs.values():
        for name, suite in results.suites.items():
            for attack in (*views(suite), WORST_CASE):
                rate = results.rate(run.id, name, attack)
                if rate is not None:
                    for called in run.names:
                        key = (run.config.dataset.name, called, name, attack)
                        errors.setdefault(key, []).append(rate.error)
    found: dict[str, Any] = {}
    for (*path, attack), values in errors.items():
        place = found
        for step in path:
            place = place.setdefault(step, {})
        place[attack] = round(100 * fmean(values), 4)
    return found
