"""What all verbs share: where params.yaml is, which scale and studies, where artefacts lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from robustfront.artefacts import Layout
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.planning import Plan, Plans

T = TypeVar("T")


@dataclass
class Options:
    """What the whole command shares. `studies`: those that it is narrowed to; none: all."""

    params: Path
    scale: str | None
    studies: tuple[str, ...]
    results: Path

    @cached_property
    def _plans(self) -> Plans:
        from robustfront.planning import Plans

        return Plans(self.params, self.results)

    def plan_again(self) -> None:
        """ConfigError if what has been prepared meanwhile does not fit."""
        del self._plans
        self.try_all()

    def try_all(self) -> None:
        """ConfigError on a mistake in any scale."""
        self._plans.try_all()

    @cached_property
    def plan(self) -> Plan:
        """What is to be made and reported. Of a job of the workflow, that has tried the other scales."""
        return self._plans.of(self.scale, self.studies)

    @cached_property
    def whole_plan(self) -> Plan:
        """That of all studies: what upkeep looks at."""
        return self._with_known_studies(self._plans.of(self.scale))

    @cached_property
    def all_plans(self) -> list[Plan]:
        """Those of every scale, with all studies."""
        return [self._with_known_studies(plan) for plan in self._plans.scales.values()]

    def _with_known_studies(self, plan: Plan) -> Plan:
        """The plan of all studies. ConfigError if one that is asked for is not among them."""
        from robustfront.config.studies import pick

        pick([*self.studies], [*plan.studies, *plan.absent], str(self.params))
        return plan

    @property
    def reports(self) -> Path:
        return self.results.parent / "reports"

    @property
    def layout(self) -> Layout:
        return Layout(self.results, self.results.parent / "checkpoints")

    def pick(self, known: dict[str, T], wanted: str, what: str) -> T:
        """One of the plan's runs, suites, ... ConfigError if `wanted` is not among them."""
        from robustfront.config.validation import did_you_mean

        if wanted not in known:
            ids = [key for key, item in known.items() if _is_called(item, wanted)]
            meant = f" (that is a name: write its id, {' or '.join(ids)})" if ids else ""
            raise ConfigError(
                f"{self.params}: scale '{self.plan.scale}' has no {what} {wanted!r}"
                f"{meant or did_you_mean(wanted, known)}; `robustfront plan` lists "
                "them; if it was edited meanwhile, start again"
            )
        return known[wanted]


def _is_called(item: object, name: str) -> bool:
    """Whether params call a run or a data set so; other things have an id alone."""
    from robustfront.planning import PlannedRun

    return item.is_called(name) if isinstance(item, PlannedRun) else getattr(item, "name", None) == name
