"""The plan and the methods as text for a terminal."""

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined
from tabulate import tabulate

from robustfront.artefacts import Layout
from robustfront.methods import Registry
from robustfront.planning.estimate import estimate
from robustfront.planning.plan import Plan


def render(plan: Plan, methods: Registry, results: Path) -> str:
    """Runs with their cost, then the totals: trainings, jobs, time, memory, disk."""
    layout = Layout(results)
    costs = estimate(plan, methods)
    rows = []
    for cost in costs:
        run = cost.run
        done = (layout.run(run.id) / "manifest.json").is_file()
        rows.append(
            [
                ", ".join(run.names) or "(needed by others)",
                run.config.method,
                run.config.dataset.name,
                run.config.seed,
                run.config.training.epochs,
                _duration(cost.train_seconds),
                _duration(cost.evaluation_seconds),
                "done" if done else "to do",
                run.id,
            ]
        )
    head = ["run", "method", "data", "seed", "epochs", "train", "evaluate", "state", "id"]
    jobs = plan.settings.throughput.jobs
    known = [cost for cost in costs if cost.train_seconds is not None and cost.evaluation_seconds is not None]
    seconds = sum((cost.train_seconds or 0) + (cost.evaluation_seconds or 0) for cost in known)
    memory = max((cost.memory_bytes or 0 for cost in known), default=0)
    counts = (
        f"{len(plan.runs)} trainings, {len(plan.projectors)} projectors, "
        f"{len(plan.runs) * len(plan.suites)} evaluations, {len(plan.datasets)} data sets"
    )
    return "\n".join(
        [
            f"scale {plan.scale}: {plan.note}",
            "",
            tabulate(rows, head, disable_numparse=True),
            "",
            f"jobs: {counts}",
            f"at most {_duration(seconds)} of work, {_duration(seconds / jobs)} with {jobs} job(s) at a time, "
            f"at {plan.settings.throughput.gflops:g} GFLOP/s each (scales.{plan.scale}.throughput)",
            f"memory of the largest job: {_size(memory)} beside the libraries' own; disk: {_size(sum(c.disk_bytes for c in costs))}",
            *(
                [f"{len(costs) - len(known)} run(s) on your own data are not estimated"]
                if len(known) < len(costs)
                else []
            ),
        ]
    )


def render_methods(methods: Registry) -> str:
    """Each method's name, source and one-line summary, and its parameters with defaults."""
    blocks = []
    for name, entry in sorted(methods.entries.items()):
        lines = [f"{name}  ({entry.source})", f"  {entry.summary}"]
        for key, field in entry.method.Params.model_fields.items():
            default = "" if field.default is PydanticUndefined else f" = {_plain(field.default)}"
            lines.append(f"    {key}{default}{'  ' + field.description if field.description else ''}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else value


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
