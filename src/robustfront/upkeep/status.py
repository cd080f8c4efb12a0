"""`robustfront status`: what is missing, made by other code, out of date or orphaned."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from robustfront.artefacts import Layout
from robustfront.planning import Plan
from robustfront.reporting import freshness, wording
from robustfront.upkeep import inventory
from robustfront.upkeep.inventory import Item
from robustfront.upkeep.prune import Orphan, orphans


@dataclass(frozen=True)
class Status:
    """The state of a scale.

    `stale`: run -> sources then, now; `stale_parts`: the same of records of evaluations and analyses;
    `outdated`: record -> inputs that changed; `old_reports`: studies whose page is not made of what is there,
    and "contents".
    """

    missing: list[Item]
    stale: dict[str, tuple[str, str]]
    stale_parts: dict[Path, tuple[str, str]]
    outdated: dict[Path, list[str]]
    orphans: list[Orphan]
    old_reports: list[str]

    @property
    def is_complete(self) -> bool:
        """Whether everything is there and `snakemake` would do nothing."""
        return not self.missing and not self.old_reports

    @property
    def is_clean(self) -> bool:
        """Whether it also was made by today's code, from what lies there. Orphans do no harm."""
        return self.is_complete and not (self.stale or self.stale_parts or self.outdated)


def status(plan: Plan, plans: Iterable[Plan], layout: Layout, reports: Path, params: Path) -> Status:
    """The state of `plan`. What one of `plans`, those of all scales of `params`, wants is no orphan."""
    old = [
        name
        for name, study in plan.studies.items()
        if not freshness.is_current(study, layout, reports / name)
    ]
    if not freshness.contents_are_current(plan, reports):
        old.append("contents")
    return Status(
        missing=inventory.missing(plan, layout),
        stale=inventory.stale(plan, layout),
        stale_parts=inventory.stale_parts(plan, layout),
        outdated=inventory.outdated(layout.results, inventory.records(layout.results)),
        orphans=orphans(plans, layout, reports, params),
        old_reports=old,
    )


def render(found: Status, plan: Plan) -> str:
    """A paragraph per kind of trouble, with ids; the last line says what to do."""
    count = sum(map(len, plan.evaluations.values()))
    lines = [f"scale {plan.scale}: {len(plan.studies)} studies, {len(plan.runs)} runs, {count} evaluations"]
    counts = Counter(item.kind for item in found.missing)
    lines += _block("missing", [f"{item.kind} {item.id}" for item in found.missing], _counted(counts))
    lines += _block(
        "stale by code",
        [
            *(f"run {run}: sources {then}, now {now}" for run, (then, now) in found.stale.items()),
            *(f"{path}: sources {then}, now {now}" for path, (then, now) in found.stale_parts.items()),
        ],
        f"{len(found.stale) + len(found.stale_parts)}; never redone unasked, `robustfront prune --stale` "
        "makes them new",
    )
    lines += _block(
        "out of date",
        [f"{path}: made from another {', '.join(inputs)}" for path, inputs in found.outdated.items()],
        f"{len(found.outdated)}; `robustfront prune --stale` makes them new",
    )
    lines += _block(
        "orphans",
        [f"{orphan.kind} {orphan.path}" for orphan in found.orphans],
        f"{len(found.orphans)}, {wording.size(sum(orphan.bytes for orphan in found.orphans))}; no scale of "
        "params.yaml wants them, `robustfront prune` removes them",
    )
    old = ", ".join(found.old_reports)
    lines.append(f"reports: {f'out of date or missing: {old}' if old else 'current'}")
    if not found.is_complete:
        lines.append("`snakemake` makes what is missing")
    return "\n".join(lines)


def _counted(counts: Counter[str]) -> str:
    plurals = {"analysis": "analyses", "index": "indices"}
    return ", ".join(
        f"{count} {kind if count == 1 else plurals.get(kind, kind + 's')}" for kind, count in counts.items()
    )


def _block(title: str, lines: list[str], head: str) -> list[str]:
    return [f"{title}: {head}", *(f"  {line}" for line in lines)] if lines else []
