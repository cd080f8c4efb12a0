"""Runs in words, the same in every table, figure and page."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robustfront.reporting.planned import PlannedRun, StudyPlan

NAMED = 6
"""Of a list of runs, so many are named."""


def title(run: PlannedRun, *, dataset: bool, seed: bool) -> str:
    """The run's name in its study, with data set and seed where these tell runs apart: `npgd-pgd, seed 1`."""
    name = " = ".join(run.names) or run.id
    name += f" on {run.config.dataset.name}" if dataset else ""
    return name + (f", seed {run.config.seed}" if seed else "")


def titles(plan: StudyPlan) -> dict[str, str]:
    """Run id -> its title."""
    seeds = len({run.config.seed for run in plan.runs.values()}) > 1
    return {run.id: title(run, dataset=len(plan.datasets) > 1, seed=seeds) for run in plan.runs.values()}


def attacked(run: PlannedRun) -> bool:
    """Whether it is trained with an attack: every method that has one has it among its parameters."""
    return "attack" in run.config.params


def among(plan: StudyPlan, ids: Collection[str]) -> str:
    """Those runs of the plan in few words: `all runs on svhn`, `all runs but st`, `st, lse-st and 9 more`."""
    chosen, runs = set(ids), plan.runs.values()
    kinds = {
        "all runs": set(plan.runs),
        "all standard runs": {run.id for run in runs if not attacked(run)},
        "all adversarial runs": {run.id for run in runs if attacked(run)},
    }
    for dataset_id, dataset in plan.datasets.items():
        kinds[f"all runs on {dataset.name}"] = {run.id for run in runs if run.dataset_id == dataset_id}
    for words, members in kinds.items():
        if chosen == members and len(chosen) > 1:
            return words
    others = set(plan.runs) - chosen
    if 0 < len(others) < min(len(chosen), NAMED):
        return f"all runs but {_names(plan, others)}"
    return _names(plan, chosen)


def _names(plan: StudyPlan, ids: Collection[str]) -> str:
    """Names, each once; data set and seed are said only of a name that is not meant on all of them."""
    full, by_name = titles(plan), dict[str, list[str]]()
    for run in plan.runs.values():
        by_name.setdefault(" = ".join(run.names) or run.id, []).append(run.id)
    named: list[str] = []
    for name, members in by_name.items():
        meant = [run for run in members if run in ids]
        named += [name] if meant == members else [full[run] for run in meant]
    more = len(named) - NAMED
    return ", ".join(named) if more < 2 else f"{', '.join(named[:NAMED])} and {more} more"
