"""What of a study's results is not there, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robustfront.config.evaluations import MASKING, views
from robustfront.reporting import naming

if TYPE_CHECKING:
    from robustfront.reporting.planned import StudyPlan
    from robustfront.reporting.results import Results


@dataclass(frozen=True)
class Lacking:
    """What is not there -> the runs that it holds for, in words; `affected`: how many runs these are."""

    runs: dict[str, str]
    affected: int


def lacking(plan: StudyPlan, results: Results) -> Lacking:
    """What is not there of the runs, evaluations and analyses of the plan."""
    kinds = {analysis.config.kind for analysis in plan.analyses.values()}
    analyses = {kind: results.not_analysed(kind) for kind in sorted(kinds)}
    found: dict[str, list[str]] = {}
    for run in plan.runs.values():
        state = results.state(run.id)
        if state != "trained":
            message = results.failure(run.id).get("message")
            words = [f"{state}: {message}" if state in ("diverged", "failed") and message else state]
        else:
            words = [*_evaluations(plan, results, run.id)]
            title = results.title(run)
            words += [f"analysis {kind} {runs[title]}" for kind, runs in analyses.items() if title in runs]
        for what in words:
            found.setdefault(what, []).append(run.id)
    affected = {run for runs in found.values() for run in runs}
    return Lacking({words: naming.among(plan, runs) for words, runs in found.items()}, len(affected))


def _evaluations(plan: StudyPlan, results: Results, run: str) -> Iterator[str]:
    asking = plan.suites_of(run)
    for name, suite in plan.suites.items():
        if name not in asking:
            continue
        for attack in views(suite):
            if lost := results.lacks(run, name, attack):
                yield f"{attack} of {name} {lost}"
        if suite.masking and not results.evaluated(run, name, MASKING):
            yield f"masking checks of {name} not made yet"
