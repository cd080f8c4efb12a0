"""Where a study does otherwise than its paper: every setting that study.yaml quotes, against what is planned.

Computed from resolved configs when a report is made, not from what a training once wrote down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from robustfront.config.quantities import length, parse_fraction
from robustfront.config.studies import Expected
from robustfront.reporting import naming

if TYPE_CHECKING:
    from robustfront.reporting.planned import PlannedRun, StudyPlan

SUITES = "suites."
AS_PRINTED = 1e-4
"""Relative difference up to which a number is the printed one: papers round, and so do params files."""


NULL = {"model.pretrained": "from scratch"}
"""Setting -> what null means, where it is more than none."""


@dataclass(frozen=True)
class Compared:
    """A setting of the paper beside ours. `found`: what differs, value in words -> ids of the runs.

    The ids are empty for a setting of a suite; nothing is found where nothing differs.
    """

    expected: Expected
    found: dict[str, list[str]]

    @property
    def published(self) -> str:
        """What the paper says, in words: of a list, any will do."""
        value = self.expected.value
        values = value if isinstance(value, list | tuple) else [value]
        return " or ".join(_words(one, self.expected.setting) for one in values)

    @property
    def costs(self) -> bool:
        """Whether our numbers cannot be called as published for it."""
        return bool(self.found) and not self.expected.may_differ


@dataclass(frozen=True)
class Open:
    """What the paper leaves open, and what is done here: value in words -> ids of the runs."""

    setting: str
    note: str
    found: dict[str, list[str]]


def compare(plan: StudyPlan) -> list[Compared]:
    """Every expected setting of the study that is said of a run or suite of the plan, in their order.

    A setting that a run or suite does not have counts as null.
    """
    compared = []
    for expected in plan.study.facts.expected:
        places = list(_places(plan, expected))
        if not places:
            continue
        found: dict[str, list[str]] = {}
        for run, value in places:
            if not _allowed(value, expected.value):
                found.setdefault(_words(value, expected.setting), []).extend([run] if run else [])
        compared.append(Compared(expected, found))
    return compared


def otherwise(plan: StudyPlan, setting: str) -> dict[str, str]:
    """Id of each run that has another value than the paper states for it -> that value in words."""
    compared = [one for one in compare(plan) if one.expected.setting == setting]
    return {run: value for one in compared for value, runs in one.found.items() for run in runs}


def left_open(plan: StudyPlan) -> list[Open]:
    """What the paper leaves unstated, with the values that runs and suites of the plan have for it."""
    opens = []
    for unstated in plan.study.facts.unstated:
        found: dict[str, list[str]] = {}
        if unstated.setting.startswith(SUITES):
            value = _of_suite(plan, unstated.setting)
            found = {_words(value): []} if value is not None else {}
        else:
            for run in plan.runs.values():
                value = _of_run(plan, run, unstated.setting)
                if value is not None:
                    found.setdefault(_words(value), []).append(run.id)
        opens.append(Open(unstated.setting, unstated.note, found))
    return opens


def label(plan: StudyPlan) -> str:
    """Stands beside every number: whether it may be compared with the published one.

    `as published` only if the data sets are the paper's own and nothing that it states is done otherwise.
    """
    facts = plan.study.facts
    if not facts.datasets:
        return f"{plan.scale} scale"
    own = {name for names in facts.same.values() for name in names}
    deviates = any(dataset.name not in own for dataset in plan.datasets.values())
    if deviates or any(setting.costs for setting in compare(plan)):
        return f"{plan.scale} scale: not comparable in value"
    return "as published"


def as_published(plan: StudyPlan) -> dict[str, list[str]]:
    """Id of each data set -> the suites whose numbers on it may be held to sizes that the paper prints.

    None, unless it is the paper's own data set and its runs do nothing otherwise that the paper states; then
    the suites that do not either. Where the paper states settings of a suite, one of which it states none is
    an evaluation of our own.
    """
    facts = plan.study.facts
    own = {name for names in facts.same.values() for name in names}
    costly = [setting for setting in compare(plan) if setting.costs]
    deviating = {plan.runs[run].dataset_id for one in costly for runs in one.found.values() for run in runs}
    stated = [one.setting for one in facts.expected if one.setting.startswith(SUITES)]
    otherwise = [one.expected.setting for one in costly]
    suites = [
        name for name in plan.suites if (_about(name, stated) or not stated) and not _about(name, otherwise)
    ]
    return {
        key: suites if dataset.name in own and key not in deviating else []
        for key, dataset in plan.datasets.items()
    }


def _about(suite: str, settings: Iterable[str]) -> bool:
    """Whether one of the settings is that suite's."""
    return any(setting.startswith(f"{SUITES}{suite}.") for setting in settings)


def _places(plan: StudyPlan, expected: Expected) -> Iterator[tuple[str, Any]]:
    """(run id, its value) for each run that the setting is said of; of a suite ("", its value)."""
    if expected.setting.startswith(SUITES):
        yield "", _of_suite(plan, expected.setting)
        return
    for run in plan.runs.values():
        if _said_of(run, expected.runs):
            yield run.id, _of_run(plan, run, expected.setting)


def _said_of(run: PlannedRun, runs: str | tuple[str, ...]) -> bool:
    if isinstance(runs, tuple):
        return bool(set(runs) & set(run.names))
    return runs == "all" or naming.attacked(run) == (runs == "adversarial")


def _of_run(plan: StudyPlan, run: PlannedRun, setting: str) -> Any:
    """A value of the resolved run. `init` is the name, in the study, of the run that it starts from."""
    if setting == "init":
        parent = plan.runs.get(run.config.init or "")
        return (parent.names or [parent.id])[0] if parent else None
    return _at(run.config, setting.split("."))


def _of_suite(plan: StudyPlan, setting: str) -> Any:
    return _at(plan.suites, setting.removeprefix(SUITES).split("."))


def _at(place: Any, keys: list[str]) -> Any:
    """What stands under `keys`, one below the other; None if nothing does. Names may have dots in them."""
    if not keys:
        return place
    if isinstance(place, BaseModel):
        return _at(getattr(place, keys[0], None), keys[1:])
    if isinstance(place, Mapping):
        for count in range(len(keys), 0, -1):
            if (name := ".".join(keys[:count])) in place:
                return _at(place[name], keys[count:])
    return None


def _allowed(found: Any, expected: Any) -> bool:
    """Whether `found` is the expected value, or one of a list of them; lists in that list are values."""
    if isinstance(expected, list | tuple):
        return any(_equal(found, one) for one in expected)
    return _equal(found, expected)


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_equal, found, expected))
    first, second = _number(found), _number(expected)
    if first is None or second is None:
        return type(found) is type(expected) and bool(found == expected)
    return math.isclose(first, second, rel_tol=AS_PRINTED)


def _number(value: Any) -> float | None:
    """A number, or the quotient that a text says; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = parse_fraction(value)
    except ValueError:
        return None
    return float(number) if isinstance(number, int | float) else None


def _words(value: Any, setting: str = "") -> str:
    """A value, of a setting, as a person writes it."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    match value:
        case None:
            return NULL.get(setting, "none")
        case bool():
            return "yes" if value else "no"
        case float():
            return length(value)
        case list() | tuple():
            return f"({', '.join(map(_words, value))})"
        case Mapping():
            return ", ".join(f"{key} {_words(one)}" for key, one in value.items())
    return str(value)
