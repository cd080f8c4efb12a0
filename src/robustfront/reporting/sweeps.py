"""Sweeps: accuracies along the numbers in one label of a table, as curves."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.reporting.drawing import nothing_to_draw, styled
from robustfront.reporting.panels import accuracy, doubts, panels, point, size
from robustfront.reporting.tables import Table


class Look(NamedTuple):
    """How the curves of a column are called and drawn; `dash` is a line style of matplotlib."""

    label: str
    marker: str
    dash: Any


def sweep(
    table: Table, *, along: str, by: str, colours: Mapping[str, str], looks: Mapping[str, Look], xlabel: str
) -> Figure:
    """Accuracies (%) against the numbers in the label `along`; bars are 95 % intervals.

    A colour for each value of the label `by`, a look for each column. Panels as in `panels`; a scale that
    left values out has fewer points. Hollow: a gradient-masking check failed; crossed: another attack refutes
    the number.
    """

    def draw(axes: Axes, part: pd.DataFrame) -> int:
        drawn = 0
        for value, colour in colours.items():
            for column, look in looks.items():
                lines = part[(part[by] == value) & (part["column"] == column)]
                _curve(axes, lines, along, colour, look)
                drawn += len(lines)
        return drawn

    with styled():
        datasets, sources = size(table)
        if not datasets:
            return nothing_to_draw(Figure(), "no rows at this scale")
        figure = Figure(figsize=(3.5 * sources, 2.9 * datasets + 0.7), layout="constrained")
        panels(figure, table, draw, columns=looks, xlabel=xlabel, ylabel="accuracy (%)", sharex=True)
        handles = [
            Line2D(
                [], [], color=colour, marker=look.marker, linestyle=look.dash, label=f"{value}, {look.label}"
            )
            for value, colour in colours.items()
            for look in looks.values()
        ]
        drawn = table.frame["column"].isin(looks) & table.frame[by].isin(colours)
        handles += doubts(table.frame[drawn])
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    return figure


def _curve(axes: Axes, lines: pd.DataFrame, along: str, colour: str, look: Look) -> None:
    records, places = lines.to_dict("records"), lines[along].astype(float)
    points = [accuracy(line) for line in records]
    axes.plot(places, [value for value, _ in points], look.dash, color=colour, linewidth=1.3)
    for line, x, (y, bars) in zip(records, places, points, strict=True):
        axes.errorbar(x, y, yerr=bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.5)
        point(axes, line, x, y, colour, look.marker)
