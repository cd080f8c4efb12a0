"""A table of published and reproduced numbers as CSV (tidy, full precision), Markdown, LaTeX and HTML."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from robustfront.artefacts import write_text
from robustfront.reporting.tables import NOT_RUN, PUBLISHED, Heading

FAILED = "†"
MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """What one cell prints: a number or label, a detail (its interval), a mark that the notes explain."""

    value: str
    detail: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.value}{self.mark} {self.detail}".rstrip()


@dataclass(frozen=True)
class View:
    """One data set's part of a table as printed.

    `labels`: how many columns, from the left, name the row. `groups`: (heading, number of columns). `rules`:
    rows above which a line is ruled.
    """

    caption: str
    scale: str
    labels: int
    groups: list[tuple[str, int]]
    columns: list[Cell]
    rows: list[list[Cell]]
    rules: list[int]
    notes: list[str]

    @property
    def headings(self) -> list[str]:
        """The group heading of each column."""
        return [heading for heading, width in self.groups for _ in range(width)]


def write_table(table: pd.DataFrame, stem: Path, spec: Heading) -> None:
    """Writes what `tables.measure` returns as `stem`.csv, .md, .tex and .html (a fragment)."""
    views = [_view(part, spec) for _, part in table.groupby("dataset", sort=False)]
    texts = {
        "csv": table.to_csv(index=False, lineterminator="\n"),
        "md": "\n".join(map(_markdown, views)),
        "tex": "\n".join(map(_latex, views)),
        "html": template("table.html.j2").render(views=views),
    }
    write_formats(texts, stem)


def write_formats(texts: Mapping[str, str], stem: Path) -> None:
    """Writes each text to `stem`.<suffix>, atomically."""
    for suffix, text in texts.items():
        write_text(stem.with_name(f"{stem.name}.{suffix}"), text)


@cache
def template(name: str) -> jinja2.Template:
    """A template of this package; values are escaped for HTML."""
    loader = jinja2.PackageLoader("robustfront.reporting")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def _view(table: pd.DataFrame, spec: Heading) -> View:
    dataset, published_as, scale = (str(table[name].iloc[0]) for name in ("dataset", "published_as", "scale"))
    groups, columns = [("", len(spec.labels))], [Cell(name) for name in spec.labels.values()]
    sources = {}
    for suite in table["suite"].unique():
        part = table[table["suite"] == suite]
        heading = f"Published, {published_as}" if suite == PUBLISHED else _heading(table, suite)
        sources[suite] = list(part["attack"].unique())
        groups.append((heading, len(sources[suite])))
        columns += [_column(part[part["attack"] == attack]) for attack in sources[suite]]
    blocks = table.drop_duplicates("row")[spec.block or "dataset"].to_numpy()
    rows = []
    for _, part in table.groupby("row", sort=False):
        cells = [Cell(part[label].iloc[0] or MISSING) for label in spec.labels]
        numbers = {(line["suite"], line["attack"]): line for line in part.to_dict("records")}
        cells += [_number(numbers[suite, name]) for suite, attacks in sources.items() for name in attacks]
        rows.append([*cells, _seeds(part)])
    return View(
        caption=f"{spec.title}: errors in percent (lower is better), reproduced on {dataset}",
        scale=scale,
        labels=len(spec.labels),
        groups=[*groups, ("", 1)],
        columns=[*columns, Cell("Seeds")],
        rows=rows,
        rules=[*np.flatnonzero(blocks[1:] != blocks[:-1]) + 1],
        notes=[*spec.notes, *_notes(table)],
    )


def _heading(table: pd.DataFrame, suite: str) -> str:
    """Names the space; the suite too if another suite has the same space."""
    space = table.loc[table["suite"] == suite, "space"].iloc[0]
    alone = table.loc[table["space"] == space, "suite"].nunique() == 1
    return f"Reproduced, {space} space" + ("" if alone else f" ({suite})")


def _column(part: pd.DataFrame) -> Cell:
    """`pgd-20 (n = 360)`: the attack and on how many test images."""
    counts = sorted(part["n"].dropna().unique())
    images = "–".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) if counts else ""
    return Cell(part["attack_name"].iloc[0], f"(n = {images})" if images else "")


def _number(line: Mapping[Hashable, Any]) -> Cell:
    if line["status"] == NOT_RUN:
        return Cell(MISSING)
    value = f"{line['error_percent']:.2f}"
    if line["status"] == PUBLISHED:
        return Cell(value)
    low, high = line["low_percent"], line["high_percent"]
    interval = f"[{low:.1f}, {high:.1f}]" if line["seeds"] == 1 else f"± {(high - low) / 2:.1f}"
    mark = FAILED if line["masking"] == "failed" and line["attack"] != "clean" else ""
    return Cell(value, interval, mark)


def _seeds(row: pd.DataFrame) -> Cell:
    seeds = row["seeds"].max()
    return Cell(NOT_RUN if pd.isna(seeds) else str(seeds))


def _notes(table: pd.DataFrame) -> list[str]:
    reproduced = table[table["status"] == "reproduced"]
    notes = []
    for suite, space, threat in table[["suite", "space", "threat"]].drop_duplicates().itertuples(index=False):
        source = "Published" if suite == PUBLISHED else f"{space.capitalize()} space (suite {suite})"
        notes.append(f"{source}: {threat}.")
    if (reproduced.groupby("suite")["n"].nunique() > 1).any():
        notes.append(
            "n differs between attacks: a smaller n is a part of the same test images, drawn with the shares "
            "of their classes and the same for every model. Columns of different n differ by chance, too; "
            "whether AutoAttack is weaker than PGD is checked on the images that both saw."
        )
    if (reproduced["seeds"] == 1).any():
        notes.append("[low, high]: Wilson 95 % interval over the test images of one seed.")
    if (reproduced["seeds"] > 1).any():
        notes.append("±: half-width of the Student-t 95 % interval over seeds.")
    if (reproduced["masking"] == "failed").any():
        notes.append(f"{FAILED}: a gradient-masking check failed, so the true robust error may be higher.")
    if (table["status"] == NOT_RUN).any():
        notes.append(f"{MISSING}: {NOT_RUN}; the published numbers are kept.")
    return notes


def _markdown(view: View) -> str:
    pairs = zip(view.headings, view.columns, strict=True)
    columns = [f"{heading}: {column}" if heading else str(column) for heading, column in pairs]
    frame = pd.DataFrame(
        [[str(cell).replace("|", r"\|") for cell in row] for row in view.rows], columns=columns
    )
    sides = ["left"] * view.labels + ["right"] * (len(columns) - view.labels)
    body = frame.to_markdown(index=False, disable_numparse=True, colalign=sides)
    notes = "\n".join(f"- {note}" for note in view.notes)
    return f"### {view.caption}\n\n**{view.scale}**\n\n{body}\n\n{notes}\n"


def _latex(view: View) -> str:
    columns = pd.MultiIndex.from_arrays([view.headings, [_latex_cell(column) for column in view.columns]])
    frame = pd.DataFrame([[_latex_cell(cell) for cell in row] for row in view.rows], columns=columns)
    sides = "l" * view.labels + "r" * (len(columns) - view.labels)
    body = frame.style.hide(axis="index").to_latex(hrules=True, multicol_align="c", column_format=sides)
    first, newline, rest = body.partition(" \\\\\n")
    lines = rest.split(newline)
    for row in view.rules:
        lines[row + 1] = "\\midrule\n" + lines[row + 1]
    rest = newline.join(lines)
    rules, start = "", 1
    for heading, width in view.groups:
        rules += f"\\cmidrule(lr){{{start}-{start + width - 1}}}" if heading else ""
        start += width
    caption = ". ".join([view.caption, view.scale[0].upper() + view.scale[1:], " ".join(view.notes)])
    return (
        "% needs \\usepackage{booktabs,graphicx}\n"
        "\\providecommand{\\stacked}[2]{\\begin{tabular}{@{}r@{}}#1\\\\{\\scriptsize #2}\\end{tabular}}\n"
        f"\\begin{{table*}}\n\\centering\n\\caption{{{latex_text(caption)}}}\n"
        f"\\resizebox{{\\textwidth}}{{!}}{{%\n{first}{newline}{rules}\n{rest.rstrip()}%\n}}\n\\end{{table*}}\n"
    )


def _latex_cell(cell: Cell) -> str:
    value, detail = latex_text(cell.value + cell.mark), latex_text(cell.detail)
    return f"\\stacked{{{value}}}{{{detail}}}" if detail else value


def latex_text(text: str) -> str:
    """Escaped, and ASCII: the file compiles with every engine and encoding."""
    for character in "&%$#_{}":
        text = text.replace(character, f"\\{character}")
    commands = {"L∞": r"$L_\infty$", "β": r"$\beta$", "ε": r"$\varepsilon$", "±": r"$\pm$", "−": "$-$"}
    commands |= {"→": r"$\to$", FAILED: r"$^\dagger$", MISSING: "--"}
    for character, command in commands.items():
        text = text.replace(character, command)
    return text
