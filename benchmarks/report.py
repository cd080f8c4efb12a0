"""From records to a page of Markdown and a CSV file."""

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.contestants import PEAK
from benchmarks.timing import Contestant, Record, paired_ratio
from robustfront.training.provenance import device_name

PACKAGES = ("torch", "torchattacks", "foolbox", "adversarial-robustness-toolbox")


@dataclass(frozen=True)
class Row:
    """A contestant's results with one number of threads."""

    threads: int
    table: str
    name: str
    median_seconds: float
    spread: float
    images_per_second: float
    useful_gflops: float
    of_peak: float
    ratio: float | None
    against: str | None
    peak_memory_mb: float
    rounds: int
    note: str


def rows(contestants: Sequence[Contestant], records: Mapping[str, Record], threads: int) -> list[Row]:
    """Useful arithmetic is what the task needs at least, whoever does more of it; peaks are by type."""
    by_name = {f"{c.table}/{c.name}": c for c in contestants}
    rates = {key: c.units * c.unit_flops / min(records[key].seconds) for key, c in by_name.items()}
    peaks = {
        bf16: max(rates[key] for key, c in by_name.items() if c.table == PEAK and c.bf16 == bf16)
        for bf16 in (False, True)
    }
    found = []
    for key, contestant in by_name.items():
        record = records[key]
        useful = contestant.units * contestant.unit_flops / record.median
        peak = peaks[contestant.bf16]
        other = records.get(f"{contestant.table}/{contestant.against}")
        found.append(
            Row(
                threads=threads,
                table=contestant.table,
                name=contestant.name,
                median_seconds=record.median,
                spread=record.spread,
                images_per_second=contestant.images / record.median,
                useful_gflops=useful / 1e9,
                of_peak=useful / peak,
                ratio=paired_ratio(other, record) if other else None,
                against=contestant.against,
                peak_memory_mb=record.memory / 1e6,
                rounds=len(record.seconds),
                note=contestant.note,
            )
        )
    return found


def write(found: Sequence[Row], stem: Path, *, command: str, facts: Sequence[str]) -> None:
    """`stem`.md and `stem`.csv."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with stem.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(vars(found[0])))
        writer.writeheader()
        writer.writerows(vars(row) for row in found)
    stem.with_suffix(".md").write_text(page(found, command=command, facts=facts), encoding="utf-8")


def page(found: Sequence[Row], *, command: str, facts: Sequence[str]) -> str:
    lines = [
        "# Speed, measured",
        "",
        f"Written by `{command}`; the numbers are in the CSV file beside this page.",
        "",
        *(f"- {fact}" for fact in facts),
        "- Contestants take turns; seconds are the median over the rounds, the spread is half the range "
        "between the quartiles; a ratio is the median of those within a round, and larger is faster.",
        "- Useful GFLOP/s count what the task needs at least, whoever computes more: 1 for a forward pass or "
        "a backward pass to the input, 2 for one to weights and input. The peak is the best rate of a matrix "
        "product or a convolution in the type the contestant computes in, measured in the same run.",
        "- Memory is the most that a call needed beyond what the process held before it.",
        "",
    ]
    for threads in dict.fromkeys(row.threads for row in found):
        of_threads = [row for row in found if row.threads == threads]
        for table in dict.fromkeys(row.table for row in of_threads):
            chosen = [row for row in of_threads if row.table == table]
            lines += [f"## {table} (threads: {threads}, rounds: {chosen[0].rounds})", "", *_table(chosen), ""]
    return "\n".join(lines)


def facts_of_machine(device: torch.device) -> list[str]:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    machine = device_name(device).removesuffix(f", {torch.get_num_threads()} thread(s)")
    load = f"load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return [
        f"{machine}, {os.cpu_count()} CPU(s), Python {platform.python_version()}, {load}",
        ", ".join(versions),
    ]


def _table(chosen: Sequence[Row]) -> list[str]:
    against = next((row.against for row in chosen if row.against), None)
    peak = chosen[0].table == PEAK
    header = [
        "",
        "seconds",
        "spread",
        "images/s",
        "useful GFLOP/s",
        "of peak",
        f"vs {against}",
        "memory, MB",
        "",
    ]
    body = [
        [
            row.name,
            f"{row.median_seconds:.3g}",
            f"{row.spread:.0%}",
            "" if peak else f"{row.images_per_second:.3g}",
            f"{row.useful_gflops:.0f}",
            f"{row.of_peak:.0%}",
            f"{row.ratio:.2f}x" if row.ratio else ("1x" if row.name == against else ""),
            f"{row.peak_memory_mb:.0f}",
            row.note,
        ]
        for row in chosen
    ]
    kept = [i for i, title in enumerate(header) if i == 0 or any(line[i] for line in body)]
    lines = [[header[i] for i in kept], ["---"] * len(kept), *([line[i] for i in kept] for line in body)]
    return ["| " + " | ".join(line) + " |" for line in lines]
