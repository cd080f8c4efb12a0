"""A table of published and reproduced numbers as CSV (tidy, full precision), Markdown, LaTeX and HTML."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from robustfront.artefacts import write_text
from robustfront.reporting.tables import NOT_RUN, PUBLISHED

LABELS = {
    "method": "Model",
    "generation": "Adv. gen. method",
    "loss": "Loss",
    "pretrained": "Pretrained model",
}
FAILED = "†"
MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """What is printed in one cell: a number or label, its interval, and a mark that the notes explain."""

    value: str
    interval: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.value}{self.mark} {self.interval}".rstrip()


@dataclass(frozen=True)
class View:
    """One data set's part of a table as it is printed. `groups` are (heading, number of columns)."""

    caption: str
    scale: str
    groups: list[tuple[str, int]]
    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str]


def write_table(table: pd.DataFrame, stem: Path, *, title: str) -> None:
    """Writes `stem`.csv, .md, .tex (needs booktabs and graphicx) and .html (a fragment), each atomically."""
    views = [_view(part, title) for _, part in table.groupby("dataset", sort=False)]
    write_text(stem.with_name(stem.name + ".csv"), table.to_csv(index=False, lineterminator="\n"))
    write_text(stem.with_name(stem.name + ".md"), "\n".join(map(_markdown, views)))
    write_text(stem.with_name(stem.name + ".tex"), "\n".join(map(_latex, views)))
    write_text(stem.with_name(stem.name + ".html"), template("table.html.j2").render(views=views))


@cache
def template(name: str) -> jinja2.Template:
    """A template of this package; values are escaped for HTML."""
    loader = jinja2.PackageLoader("robustfront.reporting")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def _view(table: pd.DataFrame, title: str) -> View:
    dataset, published_as, scale = (str(table[name].iloc[0]) for name in ("dataset", "published_as", "scale"))
    groups, columns = [("", len(LABELS))], list(LABELS.values())
    sources = {}
    for suite in table["suite"].unique():
        part = table[table["suite"] == suite]
        heading = f"Published, {published_as}" if suite == PUBLISHED else _heading(table, suite, part)
        sources[suite] = list(part["attack"].unique())
        groups.append((heading, len(sources[suite])))
        columns += [_column(part[part["attack"] == attack]) for attack in sources[suite]]
    rows = []
    for _, part in table.groupby("row", sort=False):
        cells = [Cell(part[label].iloc[0] or MISSING) for label in LABELS]
        numbers = {(line["suite"], line["attack"]): line for line in part.to_dict("records")}
        cells += [_number(numbers[suite, name]) for suite, attacks in sources.items() for name in attacks]
        rows.append([*cells, Cell(_seeds(part))])
    caption = f"{title}: errors in percent (lower is better), reproduced on {dataset}"
    return View(caption, scale, [*groups, ("", 1)], [*columns, "Seeds"], rows, _notes(table))


def _heading(table: pd.DataFrame, suite: str, part: pd.DataFrame) -> str:
    space = part["space"].iloc[0]
    alone = table.loc[table["space"] == space, "suite"].nunique() == 1
    return f"Reproduced, {space} space" + ("" if alone else f" ({suite})")


def _column(part: pd.DataFrame) -> str:
    """`pgd-20 (n = 360)`: the attack and on how many test images."""
    counts = sorted(part["n"].dropna().unique())
    images = "–".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) if counts else ""
    return part["attack_name"].iloc[0] + (f" (n = {images})" if images else "")


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


def _seeds(part: pd.DataFrame) -> str:
    seeds = part["seeds"].max()
    return NOT_RUN if pd.isna(seeds) else str(seeds)


def _notes(table: pd.DataFrame) -> list[str]:
    reproduced = table[table["status"] == "reproduced"]
    notes = [
        f"{part['space'].iloc[0].capitalize()} space (suite {suite}): {part['threat'].iloc[0]}."
        for suite, part in table[table["suite"] != PUBLISHED].groupby("suite", sort=False)
    ]
    if (reproduced["seeds"] == 1).any():
        notes.append("[low, high]: Wilson 95 % interval over the test images of one seed.")
    if (reproduced["seeds"] > 1).any():
        notes.append("±: half-width of the Student-t 95 % interval over seeds.")
    if (reproduced["masking"] == "failed").any():
        notes.append(f"{FAILED}: a gradient-masking check failed, so the true robust error may be higher.")
    if (table["status"] == NOT_RUN).any():
        notes.append(f"{MISSING} : {NOT_RUN}; the published numbers are kept.")
    return notes


def _markdown(view: View) -> str:
    headings = [heading for heading, width in view.groups for _ in range(width)]
    columns = [
        f"{group}: {name}" if group else name for group, name in zip(headings, view.columns, strict=True)
    ]
    frame = pd.DataFrame(
        [[str(cell).replace("|", r"\|") for cell in row] for row in view.rows], columns=columns
    )
    numbers = len(columns) - len(LABELS)
    body = frame.to_markdown(
        index=False, disable_numparse=True, colalign=["left"] * len(LABELS) + ["right"] * numbers
    )
    notes = "\n".join(f"- {note}" for note in view.notes)
    return f"### {view.caption}\n\n**{view.scale}**\n\n{body}\n\n{notes}\n"


def _latex(view: View) -> str:
    headings = [heading for heading, width in view.groups for _ in range(width)]
    columns = pd.MultiIndex.from_arrays([headings, view.columns])
    # A MultiIndex merges equal neighbours into one heading; two columns of the same name must stay apart.
    frame = pd.DataFrame([[str(cell) for cell in row] for row in view.rows])
    style = frame.set_axis(columns, axis="columns").style.hide(axis="index")
    style = style.format(escape="latex").format_index(escape="latex", axis=1)
    numbers = len(view.columns) - len(LABELS)
    tabular = style.to_latex(hrules=True, multicol_align="c", column_format="l" * len(LABELS) + "r" * numbers)
    rules, start = "", 1
    for heading, width in view.groups:
        rules += f"\\cmidrule(lr){{{start}-{start + width - 1}}}" if heading else ""
        start += width
    first, second, rest = tabular.partition(" \\\\\n")
    notes = " ".join(view.notes)
    caption = _tex(f"{view.caption}. {view.scale[0].upper()}{view.scale[1:]}. {notes}")
    return (
        "% needs \\usepackage{booktabs,graphicx}\n"
        f"\\begin{{table*}}\n\\centering\n\\caption{{{caption}}}\n\\resizebox{{\\textwidth}}{{!}}{{%\n"
        f"{_symbols(first + second + rules)}\n{_symbols(rest.rstrip())}%\n}}\n\\end{{table*}}\n"
    )


def _tex(text: str) -> str:
    for character in "&%$#_{}":
        text = text.replace(character, f"\\{character}")
    return _symbols(text)


def _symbols(text: str) -> str:
    """Characters outside ASCII as commands, so that the file compiles with every engine and encoding."""
    commands = {"L∞": r"$L_\infty$", "β": r"$\beta$", "ε": r"$\varepsilon$", "±": r"$\pm$", "−": "$-$"}
    commands |= {"†": r"$^\dagger$", "–": "--"}
    for character, command in commands.items():
        text = text.replace(character, command)
    return text
