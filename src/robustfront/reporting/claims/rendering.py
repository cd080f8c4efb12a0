"""The verdicts on claims as CSV (tidy), Markdown, LaTeX and HTML."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from robustfront.reporting.claims.judging import IN_PRINT, MEASURED, bounds, signed
from robustfront.reporting.rendering import latex_text, template, write_formats
from robustfront.reporting.tables import PUBLISHED

HEADING = "NPAT (S000): claims"
_LOOKS = {True: "passed", False: "failed", None: "quiet"}
_CLASSES = {words[truth]: look for words in (IN_PRINT, MEASURED) for truth, look in _LOOKS.items()}


@dataclass(frozen=True)
class Verdict:
    """One source's verdict on a claim. `numbers`: of the comparison that decides, with interval and bound."""

    source: str
    word: str
    numbers: str
    reason: str

    @property
    def css(self) -> str:
        return _CLASSES[self.word]


@dataclass(frozen=True)
class Row:
    """A claim on one data set. `data`: the paper's data set, and ours that stands for it."""

    id: str
    statement: str
    where: str
    data: str
    reading: str
    verdicts: list[Verdict]


def write_claims(table: pd.DataFrame, stem: Path) -> None:
    """Writes what `judging.judge` returns as `stem`.csv, .md, .tex (a longtable) and .html (a fragment)."""
    rows = [
        _row(part)
        for _, part in table.groupby(["claim", "published_as", "dataset"], sort=False, dropna=False)
    ]
    headings = [verdict.source for verdict in rows[0].verdicts]
    scale = str(table["scale"].iloc[0])
    context = {"rows": rows, "headings": headings, "scale": scale, "counts": _counts(table)}
    texts = {
        "csv": table.to_csv(index=False, lineterminator="\n"),
        "md": _markdown(rows, headings, scale, _counts(table)),
        "tex": _latex(rows, headings, scale),
        "html": template("claims.html.j2").render(title=HEADING, **context),
    }
    write_formats(texts, stem)


def _row(part: pd.DataFrame) -> Row:
    lines = part.to_dict("records")
    first = lines[0]
    data = str(first["published_as"])
    if first["dataset"] and str(first["dataset"]).upper() != data:
        data += f" → {first['dataset']}"
    return Row(
        id=str(first["claim"]),
        statement=str(first["statement"]),
        where=str(first["where"]),
        data=data,
        reading=str(first["bounds_reason"]),
        verdicts=[
            Verdict(_source(line), str(line["verdict"]), _numbers(line), str(line["reason"]))
            for line in lines
        ],
    )


def _source(line: Mapping[Hashable, Any]) -> str:
    return "In print" if line["suite"] == PUBLISHED else f"Here, {line['suite']}"


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
    return f"{signed(line['value_points'])}{interval}, {limits}"


def _counts(table: pd.DataFrame) -> list[str]:
    """`In print: 20 holds, 7 contradicted`, a line per source."""
    found = []
    for suite, part in table.groupby("suite", sort=False):
        counts = part["verdict"].value_counts()
        words = (IN_PRINT if suite == PUBLISHED else MEASURED).values()
        source = _source({"suite": suite})
        found.append(f"{source}: {', '.join(f'{counts[word]} {word}' for word in words if word in counts)}")
    return found


def _markdown(rows: list[Row], headings: list[str], scale: str, counts: list[str]) -> str:
    columns = ["Claim", "Where", "Data", *headings]
    cells = [
        [row.statement, row.where, row.data, *(_cell(verdict) for verdict in row.verdicts)] for row in rows
    ]
    body = pd.DataFrame(cells, columns=columns).replace(r"\|", r"\\|", regex=True)
    reasons = "\n".join(
        f"- `{row.id}` ({row.data}). {row.reading}\n"
        + "\n".join(f"  - {verdict.source}: {verdict.word}. {verdict.reason}." for verdict in row.verdicts)
        for row in rows
    )
    summary = "\n".join(f"- {count}" for count in counts)
    grid = body.to_markdown(index=False, disable_numparse=True)
    return f"### {HEADING}\n\n**{scale}**\n\n{summary}\n\n{grid}\n\n#### How they were judged\n\n{reasons}\n"


def _cell(verdict: Verdict) -> str:
    return f"{verdict.word} ({verdict.numbers})" if verdict.numbers else verdict.word


def _latex(rows: list[Row], headings: list[str], scale: str) -> str:
    sides = "p{0.26\\textwidth}" + "p{0.11\\textwidth}" * 2 + "p{0.13\\textwidth}" * len(headings)
    head = " & ".join(map(latex_text, ["Claim", "Where", "Data", *headings]))
    body = "\n".join(
        " & ".join(map(latex_text, [row.statement, row.where, row.data, *map(_cell, row.verdicts)])) + r" \\"
        for row in rows
    )
    caption = latex_text(f"{HEADING}. {scale[0].upper()}{scale[1:]}. Differences in points, 95 % intervals.")
    return (
        "% needs \\usepackage{booktabs,longtable}\n"
        f"{{\\footnotesize\n\\begin{{longtable}}{{{sides}}}\n\\caption{{{caption}}}\\\\\n"
        f"\\toprule\n{head} \\\\\n\\midrule\n\\endhead\n{body}\n\\bottomrule\n\\end{{longtable}}\n}}\n"
    )
