"""Fronts: clean accuracy against accuracy under an attack, a point per row of a table, coloured by family."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.reporting.drawing import nothing_to_draw, styled
from robustfront.reporting.panels import accuracy, doubts, look, panels, point, size
from robustfront.reporting.tables import Table
from robustfront.reporting.wording import WHOLE

_MARKERS = "os^DvPXp"
NAMED = 12
"""Of a family of more runs than this the legend has the name and the colour alone."""


@dataclass(frozen=True)
class Family:
    """Runs that share a colour and stand in one column of the legend. `runs`: name -> marker."""

    name: str
    colour: str
    runs: Mapping[str, str]


def marked(runs: Iterable[str]) -> dict[str, str]:
    """Each run with a marker of its own, as far as there are markers."""
    return dict(zip(runs, itertools.cycle(_MARKERS), strict=False))


def front(
    table: Table,
    families: Sequence[Family],
    *,
    attack: str,
    names: Mapping[str, str] | None = None,
    pareto: bool = False,
) -> Figure:
    """Clean accuracy against accuracy under an attack (%), a point per row of a table that has both.

    `attack`: key of the column, beside `clean`. `names`: run -> what the legend calls it, otherwise its first
    label. `pareto`: a line through the points of each family that no other of it beats in both. Panels as in
    `panels`, with 95 % intervals as error bars.
    Hollow: a gradient-masking check failed; crossed: another attack refutes the number.
    """

    def draw(axes: Axes, part: pd.DataFrame) -> int:
        return _points(axes, part, attack, families, pareto=pareto)

    with styled():
        datasets, sources = size(table)
        if not datasets:
            return nothing_to_draw(Figure(), "no rows at this scale")
        wide = max(10.5, 3.5 * sources)  # 10.5: what the legend takes
        figure = Figure(figsize=(wide, 3.4 * datasets + 1.5), layout="constrained")
        xlabel, ylabel = "clean accuracy (%)", "robust accuracy (%)"
        panels(figure, table, draw, columns=[attack], xlabel=xlabel, ylabel=ylabel)
        doubtful = doubts(table.frame[table.frame["column"] == attack])
        _legend(figure, _handles(table, families, names or {}, doubtful), families)
    return figure


def undominated(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of which no other is at least as good in both numbers, by the first; larger is better."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(set(points), reverse=True):
        if not kept or y > kept[-1][1]:
            kept.append((x, y))
    return kept[::-1]


def _points(axes: Axes, part: pd.DataFrame, attack: str, families: Sequence[Family], *, pareto: bool) -> int:
    known = {(line["run"], line["column"]): line for line in part.to_dict("records")}
    points = [
        (known[run, "clean"], known[run, attack], family.colour, marker)
        for family in families
        for run, marker in family.runs.items()
        if {(run, "clean"), (run, attack)} <= known.keys()
    ]
    for family in families if pareto else ():
        own = [
            (accuracy(clean)[0], accuracy(attacked)[0])
            for clean, attacked, colour, _ in points
            if colour == family.colour
        ]
        if best := undominated(own):
            axes.plot(*zip(*best, strict=True), color=family.colour, linewidth=1, alpha=0.7)
    for clean, attacked, colour, marker in points:
        (x, x_bars), (y, y_bars) = accuracy(clean), accuracy(attacked)
        axes.errorbar(x, y, xerr=x_bars, yerr=y_bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.5)
        point(axes, attacked, x, y, colour, marker)
    axes.margins(0.08)
    axes.set_xlim(right=min(axes.get_xlim()[1], 101))  # a t-interval may reach beyond 100 %
    return len(points)


def _legend(figure: Figure, handles: list[Line2D], families: Sequence[Family]) -> None:
    legend = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, len(families)),
        fontsize=8,
        columnspacing=2.5,
    )
    for text in legend.get_texts():
        if text.get_text() in {family.name for family in families}:
            text.set_fontweight("bold")


def _handles(
    table: Table, families: Sequence[Family], names: Mapping[str, str], doubtful: list[Line2D]
) -> list[Line2D]:
    """A column per family, with the runs that there are numbers of.

    Padded to equal length, because matplotlib fills legends column by column.

    In the first one, too, what the looks of doubtful points mean.
    """
    rows = table.frame.drop_duplicates("run").set_index("run")
    labels = dict(rows[next(iter(table.spec.labels))]) | dict(names)
    looking = set(table.frame.loc[table.frame["batches"] != "", "run"])
    labels |= {run: f"{labels[run]} {WHOLE}" for run in looking}
    drawn = set(table.frame.dropna(subset="value")["run"])
    named = [_among(family.runs, drawn) for family in families]
    height = max((len(runs) for runs in named if len(runs) <= NAMED), default=0)
    handles = list[Line2D]()
    for position, (family, runs) in enumerate(zip(families, named, strict=True)):
        many = len(runs) > NAMED
        entries = [Line2D([], [], label=family.name, **look(family.colour, "o" if many else ""))]
        entries += [
            Line2D([], [], label=labels[run], **look(family.colour, family.runs[run]))
            for run in ([] if many else runs)
        ]
        if position == 0 and doubtful:
            entries += [Line2D([], [], linestyle="none", label=" "), *doubtful]
            height = max(height, len(entries) - 1)
        handles += entries + [Line2D([], [], linestyle="none", label=" ")] * (height + 1 - len(entries))
    return handles


def _among(runs: Iterable[str], known: Collection[str]) -> list[str]:
    return [run for run in runs if run in known]
