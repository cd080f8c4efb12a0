"""The plan and the methods as text for a terminal."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from tabulate import tabulate

from robustfront.artefacts import Layout
from robustfront.methods import Methods
from robustfront.planning.arithmetic import decisions
from robustfront.planning.estimate import Cost, analysis_seconds, estimate, image_bytes, overhead_seconds
from robustfront.planning.plan import Plan, PlannedRun

COLUMNS = ("run", "method", "data", "seed", "epochs", "train", "evaluate", "state", "id")


def render(plan: Plan, results: Path) -> str:
    """Runs with their cost, then the totals: trainings, jobs, time, memory, disk."""
    layout, costs = Layout(results), estimate(plan)
    rows = [_row(cost, _state(cost.run, plan, layout)) for cost in costs]
    table = tabulate(rows, COLUMNS, disable_numparse=True)
    head = [f"scale {plan.scale}: {plan.note}", f"studies: {_studies(plan)}"]
    measured = [f"arithmetic: {decision}" for decision in decisions(results)]
    return "\n".join([*head, "", table, "", *_totals(plan, costs), *measured])


def render_methods(methods: Methods) -> str:
    """Each method's name, source and one-line summary, and its parameters with defaults."""
    blocks = []
    for name, entry in sorted(methods.entries.items()):
        lines = [f"{name}  ({entry.source})", f"  {entry.summary}"]
        for key, field in entry.method.Params.model_fields.items():
            default = (
                "" if field.is_required() else f" = {_plain(field.get_default(call_default_factory=True))}"
            )
            lines.append(f"    {key}{default}{'  ' + field.description if field.description else ''}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _studies(plan: Plan) -> str:
    """`npat (26 runs), front (8 runs); without this scale: toys`."""
    found = [f"{name} ({len(study.runs)} runs)" for name, study in plan.studies.items()]
    return ", ".join(found) + (f"; without this scale: {', '.join(plan.absent)}" if plan.absent else "")


def _row(cost: Cost, state: str) -> list[object]:
    config = cost.run.config
    return [
        ", ".join(cost.run.names) or "(needed by others)",
        config.method,
        config.dataset.name,
        config.seed,
        config.training.epochs,
        _duration(cost.train_seconds),
        _duration(cost.evaluation_seconds),
        state,
        cost.run.id,
    ]


def _state(run: PlannedRun, plan: Plan, layout: Layout) -> str:
    if not (layout.run(run.id) / "manifest.json").is_file():
        return "to do"
    stems = [layout.evaluation(run.id, key) for key in plan.evaluations[run.id]]
    files = [stem.with_name(f"{stem.name}.json") for stem in stems]
    return "done" if all(file.is_file() for file in files) else "trained"


def _totals(plan: Plan, costs: list[Cost]) -> list[str]:
    throughput = plan.throughput
    known = [cost for cost in costs if cost.train_seconds is not None]
    training = sum(cost.train_seconds or 0 for cost in known)
    evaluation = sum(cost.evaluation_seconds or 0 for cost in known)
    analyses, overhead = analysis_seconds(plan), overhead_seconds(plan)
    seconds = training + evaluation + analyses + overhead
    memory = max((cost.memory_bytes or 0 for cost in known), default=None)
    disk = sum(cost.disk_bytes or 0 for cost in costs)
    disk += sum(image_bytes(dataset) or 0 for dataset in plan.datasets.values())
    lines = [
        f"jobs: {len(plan.datasets)} data sets, {len(plan.runs)} trainings, "
        f"{len(plan.projectors)} projectors, {len(plan.runs)} evaluations "
        f"({sum(map(len, plan.evaluations.values()))} attacks and checks), "
        f"{len(plan.analysis_jobs)} analyses",
        f"time: at most {_duration(seconds)} of work, {_duration(seconds / throughput.jobs)} with "
        f"{throughput.jobs} job(s) at a time, at {throughput.gflops:g} GFLOP/s each "
        f"(scales.{plan.scale}.throughput)",
        f"  of which training with its validation {_duration(training)}, evaluation {_duration(evaluation)} "
        f"(if every image withstands), analyses {_duration(analyses)}, starting jobs and the report "
        f"{_duration(overhead)}; downloads come on top",
        f"memory: {_size(memory)} for the largest job, beside the libraries' own",
        f"disk: {_size(disk)}, beside downloads",
    ]
    if unknown := [
        dataset.name for key, dataset in plan.datasets.items() if not plan.facts[key].are_complete
    ]:
        lines.append(
            f"not checked: whether classes, sizes and counts of {', '.join(unknown)} fit what is done with "
            "them; `snakemake data` makes them known, and says it before anything is trained"
        )
    if len(known) < len(costs):
        rest = len(costs) - len(known)
        lines.append(f"not estimated: {rest} run(s) on images, of networks or by methods of your own")
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(count: float | None) -> str:
    if count is None:
        return "?"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
