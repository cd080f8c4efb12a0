"""reports/<study>/index.html: all that is known of a study. Static, offline, refers to files beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from robustfront.artefacts import write_text
from robustfront.config.evaluations import CLEAN, Suite, of_suite, views
from robustfront.config.schema import Dataset
from robustfront.evaluation.comparisons import REFUTING_GAP, ground
from robustfront.evaluation.verdicts import State, together
from robustfront.reporting import deviations, naming, wording
from robustfront.reporting.build import Built
from robustfront.reporting.completeness import Lacking
from robustfront.reporting.doubts import Check, checks, refutation
from robustfront.reporting.markup import template
from robustfront.reporting.planned import PlannedRun, StudyPlan
from robustfront.reporting.results import Results
from robustfront.reporting.study_report import OVERVIEW, curves_anchor

PAGE = "index.html"
UNKNOWN = "not recorded"
LOOKS: Mapping[State, str] = dict.fromkeys(get_args(State), "quiet") | {
    "failed": "failed",
    "passed": "passed",
}
"""What a check came to -> its class in the stylesheet."""


@dataclass(frozen=True)
class Verdict:
    """The gradient-masking checks of one model at a condition; None for one that takes none."""

    condition: float | None
    checks: list[Check]

    @property
    def state(self) -> State:
        return together([check.state for check in self.checks])

    @property
    def decisive(self) -> list[str]:
        """The checks that it is due to."""
        return [*dict.fromkeys(check.check for check in self.checks if check.state == self.state)]


@dataclass(frozen=True)
class Card:
    """What the page says about one run. `verdicts`: one per condition; `curves`: None without a history.

    `refuted`: its robust numbers that another attack refutes -> by how much.
    """

    title: str
    id: str
    state: str
    facts: dict[str, str]
    verdicts: list[Verdict]
    refuted: dict[str, str]
    curves: Built | None


def write_page(
    plan: StudyPlan, results: Results, lacking: Lacking, built: Sequence[Built], folder: Path
) -> None:
    """Writes index.html in `folder`, where the files of the `built` sections lie."""
    by_anchor = {one.section.anchor: one for one in built}
    curves = {run: by_anchor.get(curves_anchor(run)) for run in plan.runs}
    overview = by_anchor[OVERVIEW.anchor]
    sections = [one for one in built if one is not overview and one not in curves.values()]
    cards = [
        Card(
            results.title(run),
            run.id,
            results.state(run.id),
            _run_facts(plan, run, results.manifest(run.id)),
            _verdicts(results, run.id),
            _refuted(results, run.id),
            curves[run.id],
        )
        for run in plan.runs.values()
    ]
    compared = deviations.compare(plan)
    differing = [setting for setting in compared if setting.found]
    html = template("page.html.j2").render(
        study=plan.study.facts,
        label=results.label,
        note=plan.note,
        lacking=lacking if lacking.runs else None,
        failed=[one for one in built if one.failed],
        anchors={one.section.anchor for one in sections},
        facts=_facts(plan, results),
        suites={name: wording.suite(suite) for name, suite in plan.suites.items()},
        datasets={
            dataset.name: _dataset(dataset, results.stored(key), plan.published_as(key))
            for key, dataset in plan.datasets.items()
        },
        sections=[(one, None if one.failed else one.section.body(folder)) for one in sections],
        cards=cards,
        compared=compared,
        agreeing=[setting for setting in compared if not setting.found],
        deviations={
            "Otherwise than the source": [setting for setting in differing if setting.costs],
            "Different, at no cost in value": [setting for setting in differing if not setting.costs],
        },
        unstated=deviations.left_open(plan),
        looks=LOOKS,
        refuting_gap=f"{100 * REFUTING_GAP:g}",
        among=partial(naming.among, plan),
        overview=overview,
        overview_body=None if overview.failed else overview.section.body(folder),
    )
    write_text(folder / PAGE, html)


def _verdicts(results: Results, run_id: str) -> list[Verdict]:
    network = results.network(run_id)
    by_condition = {ground(of, CLEAN, network).condition: name for name, of in _own(results, run_id)}
    return [Verdict(condition, checks(results, run_id, name)) for condition, name in by_condition.items()]


def _own(results: Results, run_id: str) -> list[tuple[str, Suite]]:
    """The study's suites that attack the run."""
    asking = results.suites_of(run_id)
    return [(name, suite) for name, suite in results.suites.items() if name in asking]


def _refuted(results: Results, run_id: str) -> dict[str, str]:
    network = results.network(run_id)
    shown = [(name, attack) for name, of in _own(results, run_id) for attack in views(of, network)]
    words = {f"{attack}, {name}": refutation(results, [run_id], name, attack) for name, attack in shown}
    return {number: refuted for number, refuted in words.items() if refuted}


def _facts(plan: StudyPlan, results: Results) -> dict[str, str]:
    """What was run, where and by what, gathered from all manifests."""
    records = [results.manifest(run) for run in plan.runs]

    def seen(name: str) -> str:
        return ", ".join(sorted({str(record[name]) for record in records if record.get(name)})) or UNKNOWN

    versions = [item for record in records for item in (record.get("versions") or {}).items()]
    libraries = [f"{library} {version}" for library, version in sorted(set(versions))]
    spent = {
        words: sum(record.get(key) or 0 for record in records)
        for words, key in (("training steps", "seconds"), ("their validation", "validation_seconds"))
    }
    spent["evaluation"] = _evaluating(plan, results)
    peak = max((record.get("peak_memory_bytes") or 0 for record in records), default=0)
    started = [record["started"] for record in records if record.get("started")]
    finished = [record["finished"] for record in records if record.get("finished")]
    seeds = sorted({run.config.seed for run in plan.runs.values()})
    return {
        "Runs": f"{len(plan.runs)}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        "Device": seen("device"),
        "Arithmetic of trainings": seen("arithmetic"),
        "Time": ", ".join(f"{wording.duration(time)} of {what}" for what, time in spent.items() if time)
        or UNKNOWN,
        "Peak memory of a run": wording.size(peak) if peak else UNKNOWN,
        "Trained": f"{min(started)} to {max(finished)}" if started and finished else UNKNOWN,
        "Code": f"robustfront {seen('robustfront')}, commit {seen('commit')}",
        "Versions": ", ".join(libraries) or UNKNOWN,
    }


def _evaluating(plan: StudyPlan, results: Results) -> float:
    """Seconds that all evaluations took; one that several suites show counts once."""
    total = 0.0
    for run in plan.runs:
        places = {
            plan.evaluation_id(run, name, evaluation): (name, evaluation)
            for name, suite in plan.suites.items()
            for evaluation in of_suite(suite)
        }
        total += sum(float(results.evaluated(run, *one).get("seconds") or 0) for one in places.values())
    return total


def _run_facts(plan: StudyPlan, run: PlannedRun, record: Mapping[str, Any]) -> dict[str, str]:
    """The run's line in the table of runs; a key that the manifest lacks is said to be missing."""
    parent = plan.runs.get(run.config.init or "")
    start = f"run {' = '.join(parent.names) or parent.id}" if parent else record.get("initial_weights")
    kept, seconds, speed = (record.get(key) for key in ("selected_epoch", "seconds", "images_per_second"))
    memory = record.get("peak_memory_bytes")
    unusual = any(other.config.model.statistics.kind != "tracked" for other in plan.runs.values())
    return {
        "starts from": start or UNKNOWN,
        "kept epoch": f"{kept} of {run.config.training.epochs}" if kept else UNKNOWN,
        "training steps": wording.duration(seconds) if seconds else UNKNOWN,
        "images/s": f"{speed:,.0f}" if speed else UNKNOWN,
        "peak memory": wording.size(memory) if memory else UNKNOWN,
    } | ({"batch norm": wording.batch_norm(run.config.model.statistics)} if unusual else {})


def _dataset(dataset: Dataset, stored: Mapping[str, Any], published_as: str) -> str:
    """Splits with their sizes, and what stands beside the data set's numbers."""
    counts = stored.get("images_per_class", {})
    known = [
        f"{sum(counts[split]):,} {split}" for split in ("train", "validation", "test") if split in counts
    ]
    parts = [f"{', '.join(known)} images" if known else f"sizes {UNKNOWN}"]
    parts += [f"split seed {dataset.splits.seed}"]
    parts += (
        ["test images held out of the official training part"] if stored.get("test_part") == "train" else []
    )
    parts += [f"shown beside the source's {published_as}"] if published_as else []
    return "; ".join(parts)
