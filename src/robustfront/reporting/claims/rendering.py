"""The verdicts on claims as CSV (tidy), Markdown, LaTeX and HTML."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from robustfront.reporting.claims.judging import DIRECTION, IN_PRINT, MEASURED, bounds, signed
from robustfront.reporting.markup import template
from robustfront.reporting.rendering import latex_text, write_formats
from robustfront.reporting.tables import PUBLISHED
from robustfront.reporting.wording import WHOLE

ARROW = " → "
WHOLE_BATCHES = f"{WHOLE} in whole batches"
DIRECTIONS = (
    "Direction: where data set or settings are not the paper's own, a bound on one side of 0 is held to its "
    "sign alone, and one on both sides, a size, is not judged."
)
IN_BATCHES = (
    f"{WHOLE_BATCHES}: numbers of networks that normalise by the batch, not comparable with those of others."
)
_LOOKS = {True: "passed", False: "failed", None: "quiet"}
_CLASSES = {words[truth]: look for words in (IN_PRINT, MEASURED, DIRECTION) for truth, look in _LOOKS.items()}


@dataclass(frozen=True)
class Verdict:
    """One source's verdict on a claim. `numbers`: of the comparison that decides, with interval and bound.

    `absent`: no data set of the scale stands for that of the paper.
    """

    source: str
    word: str
    numbers: str
    reason: str
    absent: bool

    @property
    def detail(self) -> str:
        """What stands below the verdict; `reason` says it at length."""
        return self.numbers or self.reason

    @property
    def css(self) -> str:
        """Its class in the stylesheet."""
        return _CLASSES[self.word]


@dataclass(frozen=True)
class Entry:
    """A claim. `rows`: for each data set of the paper, and ours that stands for it, a verdict per source."""

    id: str
    statement: str
    where: str
    reading: str
    rows: dict[str, list[Verdict]]


def write_claims(table: pd.DataFrame, stem: Path, heading: str) -> None:
    """Writes what `judging.judge` returns as `stem`.csv, .md, .tex (a longtable) and .html (a fragment)."""
    entries = [_entry(part) for _, part in table.groupby("claim", sort=False)]
    headings = [verdict.source for verdict in next(iter(entries[0].rows.values()))]
    scale, counts = str(table["scale"].iloc[0]), count_verdicts(table)
    said = {
        DIRECTIONS: table["verdict"].isin(DIRECTION.values()),
        IN_BATCHES: table["in_batches"] != "",
    }
    notes = [note for note, of in said.items() if of.any()]
    pairs = dict.fromkeys(data for entry in entries for data in entry.rows if ARROW in data)
    html = template("claims.html.j2").render(
        title=heading,
        scale=scale,
        counts=counts,
        headings=headings,
        entries=entries,
        pairs=[pair.split(ARROW) for pair in pairs],
        notes=notes,
    )
    texts = {
        "csv": table.to_csv(index=False, lineterminator="\n"),
        "md": _markdown(entries, headings, scale, counts, notes, heading),
        "tex": _latex(entries, headings, scale, notes, heading),
        "html": html,
    }
    write_formats(texts, stem)


def _entry(part: pd.DataFrame) -> Entry:
    rows: dict[str, list[Verdict]] = {}
    for line in part.to_dict("records"):
        data = str(line["published_as"])
        if line["dataset"] and str(line["dataset"]).upper() != data:
            data += f"{ARROW}{line['dataset']}"
        absent = not line["dataset"] and line["suite"] != PUBLISHED
        verdict = Verdict(_source(line), str(line["verdict"]), _numbers(line), str(line["reason"]), absent)
        rows.setdefault(data, []).append(verdict)
    about = part.iloc[0].astype(str)
    return Entry(about["claim"], about["statement"], about["where"], about["bounds_reason"], rows)


def _source(line: Mapping[Hashable, Any]) -> str:
    return "In print" if line["source"] == PUBLISHED else f"Here, {line['source']}"


def _numbers(line: Mapping[Hashable, Any]) -> str:
    """`+0.75 [−1.20, +2.70], at most 1.35`; empty where nothing was measured."""
    if pd.isna(line["value_points"]):
        return ""
    low, high = line["low_points"], line["high_points"]
    interval = f" [{signed(low)}, {signed(high)}]" if low < high else ""
    at_least, at_most = line["at_least_points"], line["at_most_points"]
    limits = bounds(
        -float("inf") if pd.isna(at_least) else at_least, float("inf") if pd.isna(at_most) else at_most
    )
    said = {
        "masking check failed": "masked",
        "refuted by another attack": "refuted",
        WHOLE_BATCHES: "in_batches",
    }
    doubts = "".join(f"; {what}: {line[name]}" for what, name in said.items() if line[name])
    return f"{signed(line['value_points'])}{interval}, {limits}{doubts}"


def count_verdicts(table: pd.DataFrame) -> list[str]:
    """`In print: 20 holds, 7 contradicted`, a line per source."""
    found = []
    for source, part in table.groupby("source", sort=False):
        here = part[(part["dataset"] != "") | (source == PUBLISHED)]
        counts = here["verdict"].value_counts()
        words = IN_PRINT.values() if source == PUBLISHED else (*MEASURED.values(), *DIRECTION.values())
        listed = [f"{counts[word]} {word}" for word in words if word in counts]
        if absent := sorted(set(part["published_as"]) - set(here["published_as"])):
            listed.append(
                f"{len(part) - len(here)} on {', '.join(absent)}, which this scale has no data set for"
            )
        found.append(f"{_source({'source': source})}: {', '.join(listed)}")
    return found


def _markdown(
    entries: list[Entry], headings: list[str], scale: str, counts: list[str], notes: list[str], heading: str
) -> str:
    cells = [[text.replace("|", r"\|") for text in line] for line in _grid(entries)]
    grid = pd.DataFrame(cells, columns=["Claim", "Where", "Data", *headings])
    body = grid.to_markdown(index=False, disable_numparse=True)
    summary = "\n".join(f"- {line}" for line in (*counts, *notes))
    reasons = []
    for entry in entries:
        reasons.append(f"- `{entry.id}`: {entry.reading}")
        for data, verdicts in entry.rows.items():
            reasons += [f"  - {data}, {found.source}, {found.word}: {found.reason}" for found in verdicts]
    return (
        "\n\n".join(
            [f"### {heading}", f"**{scale}**", summary, body, "#### How they were judged", "\n".join(reasons)]
        )
        + "\n"
    )


def _grid(entries: list[Entry]) -> list[list[str]]:
    """A line per claim and data set: what it says, where, on which data, and each source's verdict."""
    lines = []
    for entry in entries:
        for data, verdicts in entry.rows.items():
            words = [f"{found.word} ({found.numbers})" if found.numbers else found.word for found in verdicts]
            lines.append([entry.statement, entry.where, data, *words])
    return lines


def _latex(entries: list[Entry], headings: list[str], scale: str, notes: list[str], heading: str) -> str:
    widths = [0.25, 0.1, 0.1, *[0.41 / len(headings)] * len(headings)]
    sides = "".join(f">{{\\raggedright\\arraybackslash}}p{{{width:.3f}\\textwidth}}" for width in widths)
    head = " & ".join(map(latex_text, ["Claim", "Where", "Data", *headings]))
    lines = []
    for entry in entries:
        for position, line in enumerate(_grid([entry])):
            shown = line if position == 0 else ["", "", *line[2:]]
            lines.append(" & ".join(map(latex_text, shown)) + r" \\")
        lines.append(r"\addlinespace")
    body = "\n".join(lines)
    said = [f"{heading}. {scale[0].upper()}{scale[1:]}. Differences in points, 95 % intervals.", *notes]
    caption = latex_text(" ".join(said))
    return (
        "% needs \\usepackage{array,booktabs,longtable}\n"
        f"{{\\footnotesize\n\\begin{{longtable}}{{{sides}}}\n\\caption{{{caption}}}\\\\\n"
        f"\\toprule\n{head} \\\\\n\\midrule\n\\endhead\n{body}\n\\bottomrule\n\\end{{longtable}}\n}}\n"
    )
