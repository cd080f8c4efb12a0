"""`robustfront verify`: every artefact against the checksums that were written with it."""

from dataclasses import dataclass, field
from pathlib import Path

from robustfront.artefacts import FAILURE
from robustfront.checksums import KEY, differing, recorded
from robustfront.errors import ArtefactError
from robustfront.reporting import wording
from robustfront.reporting.freshness import RECORD
from robustfront.upkeep.inventory import RECORDS, indexed, outdated, read_facts


@dataclass
class Verdict:
    """`damaged`: a line per file; `unrecorded`: files that no record covers, such as those of old results."""

    intact: list[Path] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unrecorded: list[Path] = field(default_factory=list)


def verify(results: Path, reports: Path) -> Verdict:
    """Reads every file below `results`, planned or not, and the report; compares each with its record."""
    verdict, found = Verdict(), {}
    paths = [path for pattern in RECORDS for path in sorted(results.glob(pattern))]
    for path in [*paths, *sorted(reports.glob(RECORD)), *sorted(reports.glob(f"*/{RECORD}"))]:
        try:
            record = read_facts(path)
        except ArtefactError as error:
            verdict.damaged.append(str(error))
            continue
        wrong = differing(path, record)
        verdict.damaged += [_complaint(path, name) for name in wrong]
        verdict.intact += [path.parent / name for name in recorded(record) if name not in wrong]
        if path in paths:
            found[path] = record
        if KEY not in record:
            verdict.unrecorded.append(path)
    for path in found:
        named = (path.with_name(f"{key}.json") for key in sorted(indexed(path) or ()))
        verdict.damaged += [_complaint(path, file.name) for file in named if not file.is_file()]
    for path, inputs in outdated(results, found).items():
        verdict.damaged.append(
            f"{path}: was made from another {', '.join(inputs)} than lies there; "
            "`robustfront prune --stale` makes it new"
        )
    covered = {*verdict.intact, *verdict.unrecorded}
    covered |= {path.parent / name for path, record in found.items() for name in recorded(record)} | {*paths}
    for folder in ("datasets", "projectors", "runs"):
        others = sorted(path for path in (results / folder).rglob("*") if path.is_file())
        others = [path for path in others if path.name != FAILURE]  # says what is not there
        verdict.unrecorded += [path for path in others if path not in covered]
    return verdict


def render(verdict: Verdict) -> str:
    """Damaged files, files without checksum, and the totals."""
    lines = [f"damaged: {line}" for line in verdict.damaged]
    lines += [f"no checksum: {path}" for path in verdict.unrecorded]
    size = wording.size(sum(path.stat().st_size for path in verdict.intact))
    lines.append(
        f"{len(verdict.intact)} files intact ({size}), {len(verdict.damaged)} damaged, "
        f"{len(verdict.unrecorded)} without a checksum"
    )
    return "\n".join(lines)


def _complaint(path: Path, name: str) -> str:
    file = path.parent / name
    if not file.is_file():
        return f"{file}: missing, {path} vouches for it; run `snakemake` to make it"
    return (
        f"{file}: not what {path} vouches for; `dvc checkout` restores it if it was recorded, "
        "else delete it and run `snakemake` again"
    )
