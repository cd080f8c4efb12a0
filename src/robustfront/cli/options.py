"""What all verbs share: where params.yaml is, which scale, where artefacts lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from robustfront.artefacts import Layout
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.planning import Plan

T = TypeVar("T")


@dataclass
class Options:
    """What the whole command shares: where params.yaml is, which scale, where results go."""

    params: Path
    scale: str | None
    results: Path

    @cached_property
    def plan(self) -> Plan:
        from robustfront.planning import load_plan

        return load_plan(self.params, self.scale)

    @property
    def all_plans(self) -> list[Plan]:
        """Those of every scale."""
        from robustfront.planning import load_plans

        return [*load_plans(self.params).values()]

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
            ids = [key for key, item in known.items() if wanted in _names(item)]
            meant = f" (that is a name: write its id, {' or '.join(ids)})" if ids else ""
            raise ConfigError(
                f"{self.params}: scale '{self.plan.scale}' has no {what} {wanted!r}"
                f"{meant or did_you_mean(wanted, known)}; `robustfront plan` lists them"
            )
        return known[wanted]

    def check_plan(self, digest: str | None) -> None:
        """ConfigError if the plan is not the one with that digest: a report must not mix two versions."""
        plan = self.plan
        from robustfront.reporting.freshness import plan_digest

        if digest not in (None, plan_digest(plan)):
            raise ConfigError(f"{self.params}: was edited while `snakemake` ran; start it again")


def _names(item: object) -> list[str]:
    """What params.yaml calls a run, a data set or a suite; other things have an id alone."""
    names: list[str] = getattr(item, "names", None) or [getattr(item, "name", "")]
    return names
