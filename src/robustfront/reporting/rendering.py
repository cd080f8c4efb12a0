"""A table of published and reproduced numbers as CSV (tidy, full precision), Markdown, LaTeX and HTML."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustfront.artefacts import write_text
from robustfront.config.evaluations import CLEAN
from robustfront.evaluation.comparisons import REFUTING_GAP
from robustfront.reporting.cells import NORMAL, SUMMED
from robustfront.reporting.markup import template
from robustfront.reporting.tables import LOST, NOT_PRINTED, NOT_RUN, PUBLISHED, REPRODUCED, Table, TableSpec
from robustfront.reporting.wording import FAILED, REFUTED, WHOLE

MISSING = "–"
LISTED = 6
"""So many refuted numbers are told one by one."""
_PLURAL = {"error": "errors", "accuracy": "accuracies", "loss": "losses", "gap": "gaps"}
_BETTER = {"error": " (lower is better)", "accuracy": " (higher is better)", "loss": " (lower is better)"}
_IN_UNIT = {"percent": "in percent", "fraction": "as fractions", "nats": "in nats"}
_DIGITS = {"percent": 2, "fraction": 4, "nats": 4}
_STATES = {
    NOT_PRINTED: "the paper has no number here.",
    LOST: "the paper prints a number here, which the text that we have of it lacks.",
    "diverged": "the training ended in numbers that are not finite.",
    "failed": "it was tried and stopped with an error, which its log tells.",
    "damaged": "its files are not what was written; delete them and run `snakemake` again.",
    "not made yet": "`snakemake` makes it.",
    "not attacked so": "the suite names the runs that it attacks, and this is none of them.",
}
"""What a cell without a number says -> what that means."""


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


def write_table(table: Table, stem: Path) -> None:
    """Writes `stem`.csv, .md, .tex and .html (a fragment)."""
    views = [_view(part, table.spec) for _, part in table.frame.groupby("dataset", sort=False)]
    write_views(views, table.frame, stem)


def write_views(views: Sequence[View], frame: pd.DataFrame, stem: Path) -> None:
    """Writes tables as they print, and the `frame` that they are made of, to the same files."""
    texts = {
        "csv": frame.to_csv(index=False, lineterminator="\n"),
        "md": "\n".join(map(_markdown, views)),
        "tex": "\n".join(map(_latex, views)),
        "html": template("table.html.j2").render(views=views),
    }
    write_formats(texts, stem)


def write_formats(texts: Mapping[str, str], stem: Path) -> None:
    """Writes each text to `stem`.<suffix>, atomically."""
    for suffix, text in texts.items():
        write_text(stem.with_name(f"{stem.name}.{suffix}"), text)


def _view(table: pd.DataFrame, spec: TableSpec) -> View:
    dataset, published_as, scale = (str(table[name].iloc[0]) for name in ("dataset", "published_as", "scale"))
    groups, columns = [("", len(spec.labels))], [Cell(name) for name in spec.labels.values()]
    sources = {}
    for source in table["source"].unique():
        part = table[table["source"] == source]
        heading = f"Published, {published_as}" if source == PUBLISHED else _heading(table, source)
        sources[source] = list(part["column"].unique())
        groups.append((heading, len(sources[source])))
        columns += [_column(part[part["column"] == column], part) for column in sources[source]]
    blocks = table.drop_duplicates("row")[spec.block or "dataset"].to_numpy()
    rows = []
    for _, part in table.groupby("row", sort=False):
        cells = [Cell(part[label].iloc[0] or MISSING) for label in spec.labels]
        numbers = {(line["source"], line["column"]): line for line in part.to_dict("records")}
        cells += [_number(numbers[source, name]) for source, names in sources.items() for name in names]
        rows.append([*cells, _seeds(part[part["source"] != PUBLISHED])])
    return View(
        caption=f"{spec.title}: {_quantities(table)}, reproduced on {dataset}",
        scale=scale,
        labels=len(spec.labels),
        groups=[*groups, ("", 1)],
        columns=[*columns, Cell("Seeds")],
        rows=rows,
        rules=[*np.flatnonzero(blocks[1:] != blocks[:-1]) + 1],
        notes=[*spec.notes, *_notes(table), *_doubts(table, spec)],
    )


def _quantities(table: pd.DataFrame) -> str:
    """`errors in percent (lower is better)`, and other metrics after it."""
    kinds = table[["metric", "unit"]].drop_duplicates().itertuples(index=False)
    return ", ".join(f"{_PLURAL[metric]} {_IN_UNIT[unit]}{_BETTER.get(metric, '')}" for metric, unit in kinds)


def _heading(table: pd.DataFrame, source: str) -> str:
    """Names the space; the source too if another one has the same space."""
    ours = table[table["source"] != PUBLISHED]
    space = ours.loc[ours["source"] == source, "space"].iloc[0]
    alone = ours.loc[ours["space"] == space, "source"].nunique() == 1
    return f"Reproduced, {space} space" + ("" if alone else f" ({source})")


def _column(part: pd.DataFrame, of_source: pd.DataFrame) -> Cell:
    """`pgd-20 (n = 360)`: the attack and on how many images; the heading where that would not tell.

    Images of another split than the test images are named: `(n = 360 train)`.
    """
    counts = sorted(part["n"].dropna().unique())
    images = "–".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) if counts else ""
    name, heading = part[["attack", "heading"]].iloc[0]
    alone = of_source.loc[of_source["attack"] == name, "column"].nunique() == 1
    shown = name if name and alone and part["source"].iloc[0] != PUBLISHED else heading
    other = {*part["split"]} - {"", "test"}
    return Cell(shown, f"(n = {' '.join([images, *other])})" if images else "")


def _number(line: Mapping[Hashable, Any]) -> Cell:
    if line["status"] == LOST:
        return Cell("lost")
    if line["status"] not in (PUBLISHED, REPRODUCED):
        return Cell(MISSING)
    digits = _DIGITS[line["unit"]]
    value = f"{line['value']:.{digits}f}"
    refuted = REFUTED if line["refuted"] else ""
    if line["status"] == PUBLISHED:
        return Cell(value, mark=refuted)
    interval = f"[{line['low']:.{digits - 1}f}, {line['high']:.{digits - 1}f}]"
    mark = FAILED if line["masking"] == "failed" and line["attack"] != CLEAN else ""
    return Cell(value, interval, mark + refuted + (WHOLE if line["batches"] else ""))


def _seeds(ours: pd.DataFrame) -> Cell:
    """How many seeds a row is of, and what is not there: `1`, `2; 1 diverged`, `not run at this scale`."""
    lacking = ours[ours["status"] != REPRODUCED]
    if len(lacking) == len(ours):
        return Cell(", ".join(lacking["status"].unique()))
    said = [str(ours["seeds"].max())]
    said += [
        f"{', '.join(part['attack'].where(part['attack'] != '', part['heading']).unique())} {status}"
        for status, part in lacking.groupby("status", sort=False)
    ]
    made = ours[ours["status"] == REPRODUCED]
    said += [text for text in made["lacking"].unique() if text]
    return Cell("; ".join(said))


def _notes(table: pd.DataFrame) -> list[str]:
    reproduced = table[table["status"] == REPRODUCED]
    notes = []
    threats = table[["source", "suite", "space", "threat", "split"]].drop_duplicates()
    for source, suite, space, threat, split in threats.itertuples(index=False):
        if source != PUBLISHED:
            images = "" if split == "test" else f", {split} images"
            notes.append(f"{space.capitalize()} space (suite {suite}{images}): {threat}.")
        elif threat:
            notes.append(f"Published: {threat}.")
    if (reproduced.groupby("source")["n"].nunique() > 1).any():
        notes.append(
            "n differs between attacks: a smaller n is a part of the same images, drawn with the shares "
            "of their classes and the same for every model. Columns of different n differ by chance, too; "
            "two attacks are held against each other on the images that both saw."
        )
    if reproduced["interval"].str.contains(SUMMED, regex=False).any():
        notes.append("Of numbers made of others: an interval as wide as theirs together, 95 % or more.")
    if reproduced["interval"].str.contains(NORMAL, regex=False).any():
        notes.append(
            "Of losses and gaps: a normal 95 % interval over images, of both splits where two are met."
        )
    if (reproduced["seeds"] == 1).any():
        notes.append("[low, high]: Wilson 95 % interval over the images of one seed.")
    if (reproduced["seeds"] > 1).any():
        notes.append(
            "[low, high] of several seeds: Student-t 95 % interval over seeds, or the mean of their "
            "intervals over images, at either end the wider."
        )
    for size in reproduced.loc[reproduced["batches"] != "", "batches"].unique():
        notes.append(
            f"{WHOLE}: the network normalises by the batch, so its answer to an image depends on the others: "
            f"attacked and judged in whole batches of {size}, all images of a batch together (AutoAttack "
            "finds x' beside other images than it is judged beside). Not comparable with other numbers."
        )
    if (table["status"] == NOT_RUN).any():
        notes.append(f"{MISSING}: {NOT_RUN}; the published numbers are kept.")
    notes += [
        f"{'lost' if status == LOST else MISSING}: {status}; {what}"
        for status, what in _STATES.items()
        if _occurs(table, status)
    ]
    return list(dict.fromkeys(notes))


def _doubts(table: pd.DataFrame, spec: TableSpec) -> list[str]:
    """What the marks of doubtful numbers mean, and which number is refuted by what."""
    masking, notes = table["masking"], []
    if (masking == "failed").any():
        notes.append(f"{FAILED}: a gradient-masking check failed, so the true robust error may be higher.")
    if masking.isin(["undecided", "not checked"]).any():
        notes.append(
            f"No {FAILED} proves nothing of a model with a gradient-masking check that was not made, or that "
            "is undecided, for want of images: the CSV tells which."
        )
    refuted = table[table["refuted"] != ""]
    if len(refuted):
        places = refuted[[next(iter(spec.labels)), "heading", "source", "refuted"]].itertuples(index=False)
        listed = [f"{label}, {heading}, {source}: {words}" for label, heading, source, words in places]
        listed[LISTED:] = [f"and {len(listed) - LISTED} more, in the CSV"] if len(listed) > LISTED else []
        notes.append(
            f"{REFUTED}: no robust error, as another attack in the same ball fells over "
            f"{100 * REFUTING_GAP:g} points more of the same images, more than luck explains "
            f"(that one's number may stand). {'; '.join(listed)}."
        )
    return notes


def _occurs(table: pd.DataFrame, status: str) -> bool:
    return bool((table["status"] == status).any() or table["lacking"].str.contains(status).any())


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
    commands |= {
        "→": r"$\to$",
        FAILED: r"$^\dagger$",
        REFUTED: r"$^{\S}$",
        WHOLE: r"$^\ddagger$",
        MISSING: "--",
    }
    for character, command in commands.items():
        text = text.replace(character, command)
    return text
