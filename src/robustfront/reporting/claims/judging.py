"""Verdicts on claims, in print and in every suite, as one tidy frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import pandas as pd

from robustfront.evaluation.statistics import CONFIDENCE
from robustfront.reporting.claims.conditions import (
    Change,
    Clause,
    Condition,
    Contrast,
    NotMasked,
    NotRun,
    Size,
    clauses,
    directions,
)
from robustfront.reporting.claims.evidence import Estimate, Evidence, InPrint, Measured, Unknown
from robustfront.reporting.claims.language import Claim, Series
from robustfront.reporting.results import Results
from robustfront.reporting.tables import PUBLISHED

Truth = bool | None
"""None: open."""

IN_PRINT = {True: "holds", False: "contradicted", None: "no numbers"}
MEASURED = {True: "reproduced", False: "not reproduced", None: "undecided at this scale"}
DIRECTION = {True: "direction holds", False: "direction does not hold", None: "undecided"}


@dataclass(frozen=True)
class Finding:
    """A condition, whether it holds, and why.

    `margin`: how far inside its bounds the estimate lies, in points. `missing`: runs that this scale lacks;
    `masked`, `refuted`: runs whose failed masking check, or refuted number, keeps it open; `in_batches`: runs
    that look at their batch.
    """

    condition: Condition
    truth: Truth
    reason: str = ""
    estimate: Estimate | None = None
    margin: float = 0.0
    missing: Sequence[str] = ()
    masked: Sequence[str] = ()
    refuted: Sequence[str] = ()
    in_batches: Sequence[str] = ()


def every(truths: Sequence[Truth]) -> Truth:
    """Kleene's conjunction: false if one is, true if all are, else open."""
    return False if False in truths else None if None in truths else True


def some(truths: Sequence[Truth]) -> Truth:
    """Kleene's disjunction."""
    return True if True in truths else None if None in truths else False


def judge(claims: Sequence[Claim], results: Results) -> pd.DataFrame:
    """A line per claim, data set of the paper, data set of ours that stands for it, and source.

    - `claim`, `statement`, `where`, `bounds_reason`: the claim, and why it is read the way it is;
    - `published_as`, `dataset`: the paper's data set, and ours (empty if this scale has none);
    - `suite`, `space`: `published`, or the suite whose numbers decide;
    - `verdict`: in print `holds`, `contradicted`, `no numbers`; on the paper's own data and settings
      `reproduced`, `not reproduced`, `undecided at this scale`; on others bounds are held to their direction
      alone: `direction holds`, `direction does not hold`, `undecided`;
    - `condition`, `value_points`, `low_points`, `high_points`, `at_least_points`, `at_most_points`, `n`,
      `seeds`, `p`: the comparison that decides it (the one with the least to spare), its 95 % interval, its
      bounds;
    - `masked`, `refuted`: runs whose failed gradient-masking check, or whose robust error that another attack
      in the same ball refutes, keeps the verdict open; `in_batches`: runs whose networks look at their batch;
    - `conditions`: how many comparisons it comes down to;  `reason`: the verdict in words;  `scale`.
    """
    datasets = results.datasets
    everywhere, as_published = tuple(results.study.facts.datasets), results.as_published
    suites = {name for claim in claims for name in claim.suites}  # every claim gets the same columns
    lines = []
    for claim in claims:
        about = {"claim": claim.id, "statement": claim.statement, "where": claim.where}
        about["bounds_reason"] = claim.reason
        for dataset in claim.datasets or everywhere:
            ours = [key for key in datasets if results.published_as(key) == dataset]
            for dataset_id in ours or [""]:
                about |= {
                    "published_as": dataset,
                    "dataset": datasets[dataset_id].name if dataset_id else "",
                }
                evidence: Evidence = InPrint(results, dataset)
                source = {"suite": PUBLISHED, "space": ""}
                lines.append(about | source | _verdict(claim, dataset, evidence, IN_PRINT, results))
                for name, suite in results.suites.items():
                    if suites and name not in suites:
                        continue
                    measured = Measured(results, dataset_id, name) if dataset_id else None
                    source = {"suite": name, "space": suite.threat.space}
                    own = not dataset_id or name in as_published[dataset_id]
                    words = MEASURED if own else DIRECTION
                    lines.append(about | source | _verdict(claim, dataset, measured, words, results))
    table = pd.DataFrame(lines).astype({"n": "Int64", "seeds": "Int64"})
    return table.assign(scale=results.label)


def _verdict(
    claim: Claim, dataset: str, evidence: Evidence | None, words: dict[Truth, str], results: Results
) -> dict[str, Any]:
    if evidence is None:
        return _line(words[None], f"no data set of this scale stands for {dataset}")
    wanted: list[Clause] = []
    for predicate in claim.predicates:
        if isinstance(predicate, Series):
            rows, available = results.rows(predicate.table), evidence.available(predicate.table)
            wanted += clauses(predicate, dataset, rows, available)
        else:
            wanted += clauses(predicate, dataset, (), ())
    wanted = directions(wanted) if words is DIRECTION else wanted
    judged = [_judge_clause(clause, evidence, among=len(wanted)) for clause in wanted]
    truth = every([found for found, _ in judged])
    findings = [finding for found, group in judged if found == truth for finding in group]
    # Of a true claim the condition closest to failing, of a false one the one furthest off.
    decisive = min(findings, key=lambda finding: (finding.estimate is None, finding.margin))
    count = len(wanted)
    if truth is None:
        missing = dict.fromkeys(run for finding in findings for run in finding.missing)
        reason = f"not run at this scale: {', '.join(missing)}" if missing else decisive.reason
        decided = sum(found is not None for found, _ in judged)
        reason += f" ({decided} of {count} comparisons are decided)" if decided else ""
    elif truth:
        reason = (
            f"all {count} comparisons hold; the closest: {decisive.reason}" if count > 1 else decisive.reason
        )
    else:
        reason = decisive.reason
    return _line(words[truth], reason, decisive, count)


def _judge_clause(clause: Clause, evidence: Evidence, *, among: int) -> tuple[Truth, list[Finding]]:
    """Whether one of the clause's conditions holds, and the findings that say so.

    `among`: how many clauses the claim has. A claim falls with one of them, and a clause stands with one of
    its conditions; with so many chances, each needs that much more confidence (Bonferroni).
    """
    findings = [
        _decide(
            condition,
            evidence,
            to_establish=1 - (1 - CONFIDENCE) / len(clause),
            to_refute=1 - (1 - CONFIDENCE) / among,
        )
        for condition in clause
    ]
    truth = some([finding.truth for finding in findings])
    kept = [finding for finding in findings if finding.truth == truth]
    if truth and len(kept) > 1:
        kept = [max(kept, key=lambda finding: finding.margin)]  # the best of several that would do
    return truth, kept


def _decide(condition: Condition, evidence: Evidence, *, to_establish: float, to_refute: float) -> Finding:
    if isinstance(condition, NotRun):
        return Finding(condition, None, missing=condition.runs)
    if isinstance(condition, Size):
        return _only_shown(condition, evidence)
    try:
        if isinstance(condition, NotMasked):
            return Finding(condition, *evidence.not_masked(condition))
        shown, sure, cautious = (
            evidence.estimate(condition, level) for level in (CONFIDENCE, to_establish, to_refute)
        )
    except Unknown as unknown:
        return Finding(condition, None, str(unknown), missing=unknown.missing)
    truth: Truth = None
    if condition.at_least <= sure.low and sure.high <= condition.at_most:
        truth = True
    elif cautious.low > condition.at_most or cautious.high < condition.at_least:
        truth = False
    reason, masked, refuted = _in_words(condition, shown), list[str](), list[str]()
    if truth is not None and (risky := _risky(condition, truth, shown)):
        masked, refuted = evidence.masked(risky, condition.error), evidence.refuted(risky, condition.error)
    if masked:
        truth, reason = None, f"a gradient-masking check failed for {', '.join(masked)}: {reason}"
    elif refuted:
        truth, reason = None, f"another attack refutes the number of {', '.join(refuted)}: {reason}"
    elif truth is None and (shown.low > condition.at_most or shown.high < condition.at_least):
        reason += f", which fails at 95 %, but not at the {100 * to_refute:.2f} % that one of many has to"
    margin = min(condition.at_most - shown.value, shown.value - condition.at_least)
    looking = evidence.in_batches(condition.weights) if isinstance(condition, Contrast) else []
    return Finding(condition, truth, reason, shown, margin, (), masked, refuted, looking)


def _only_shown(condition: Size, evidence: Evidence) -> Finding:
    """A size where directions alone are judged: its numbers, and no verdict."""
    why = "a size, which is judged on the paper's own data and settings alone"
    try:
        shown = evidence.estimate(condition.of, CONFIDENCE)
    except Unknown as unknown:
        return Finding(condition, None, f"{why}; {unknown}", missing=unknown.missing)
    return Finding(condition, None, f"{why}: {_in_words(condition.of, shown)}", shown)


def _risky(condition: Contrast | Change, truth: bool, estimate: Estimate) -> list[str]:
    """Runs that turn the verdict round if their robust error is higher than it seems."""
    if isinstance(condition, Change) or condition.error == "clean":
        return []
    # More error in total endangers what must stay below a bound, or was found to lie below one.
    more = condition.at_most < inf if truth else estimate.value < condition.at_least
    less = condition.at_least > -inf if truth else estimate.value > condition.at_most
    return [
        run for run, weight in condition.weights.items() if (more and weight > 0) or (less and weight < 0)
    ]


def _in_words(condition: Contrast | Change, estimate: Estimate) -> str:
    """`npda-pgd − st, clean: +0.75 [−1.20, +2.70] points, n = 400; at most 1.35`."""
    what = condition.label
    if isinstance(condition, Contrast):
        what += f", {estimate.attack or condition.error}"
    interval = f" [{signed(estimate.low)}, {signed(estimate.high)}]" if estimate.low < estimate.high else ""
    parts = [f"{what}: {signed(estimate.value)}{interval} points"]
    parts += [f"n = {estimate.n}"] if estimate.n is not None else []
    parts += [f"{estimate.seeds} seeds"] if (estimate.seeds or 1) > 1 else []
    parts += [f"McNemar p = {estimate.p:.2g}"] if estimate.p is not None else []
    return f"{', '.join(parts)}; {bounds(condition.at_least, condition.at_most)}"


def signed(points: float) -> str:
    """`+1.35`, `−0.20`, and `+0.00` whatever the sign of what rounds to it."""
    return f"{round(points, 2) + 0.0:+.2f}".replace("-", "−")


def bounds(at_least: float, at_most: float) -> str:
    """`at most 1.35`, `at least 0`, `between −1 and 1`."""
    low, high = (f"{bound:g}".replace("-", "−") for bound in (at_least, at_most))
    if at_least == -inf:
        return f"at most {high}"
    return f"at least {low}" if at_most == inf else f"between {low} and {high}"


def _line(verdict: str, reason: str, finding: Finding | None = None, count: int = 0) -> dict[str, Any]:
    estimate = finding.estimate if finding else None
    condition = finding.condition if finding else None
    bounded = condition.of if isinstance(condition, Size) else condition
    bounded = bounded if isinstance(bounded, Contrast | Change) else None
    return {
        "verdict": verdict,
        "condition": condition.label if condition else "",
        "value_points": estimate.value if estimate else None,
        "low_points": estimate.low if estimate else None,
        "high_points": estimate.high if estimate else None,
        "at_least_points": bounded.at_least if bounded and bounded.at_least > -inf else None,
        "at_most_points": bounded.at_most if bounded and bounded.at_most < inf else None,
        "n": estimate.n if estimate else None,
        "seeds": estimate.seeds if estimate else None,
        "p": estimate.p if estimate else None,
        "masked": ", ".join(finding.masked) if finding else "",
        "refuted": ", ".join(finding.refuted) if finding else "",
        "in_batches": ", ".join(finding.in_batches) if finding else "",
        "conditions": count,
        "reason": reason,
    }
