"""Figures made of a table: a row of panels per data set, the published numbers first, then each source."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.config.evaluations import CLEAN
from robustfront.reporting.columns import FACTOR
from robustfront.reporting.drawing import BLACK, GREY
from robustfront.reporting.tables import PUBLISHED, Table

_CROSS: dict[str, Any] = {
    "linestyle": "none",
    "marker": "x",
    "markersize": 10,
    "color": BLACK,
    "markeredgewidth": 1.2,
}


def panels(
    figure: Figure,
    table: Table,
    draw: Callable[[Axes, pd.DataFrame], int],
    *,
    columns: Collection[str],
    xlabel: str,
    ylabel: str,
    sharex: bool = False,
) -> None:
    """Fills a figure with panels; `draw` draws lines of the table and returns how many points it drew.

    `columns`: keys of those that it draws. A title says under which attack, as sources may have different
    ones in the same column.
    """
    frame = table.frame
    datasets, sources = list(frame["dataset"].unique()), list(frame["source"].unique())
    grid = figure.subplots(len(datasets), len(sources), squeeze=False, sharex=sharex, sharey="row")
    for axes_row, dataset in zip(grid, datasets, strict=True):
        for axes, source in zip(axes_row, sources, strict=True):
            part = frame[(frame["dataset"] == dataset) & (frame["source"] == source)]
            axes.set_title(_title(part, dataset, frame, columns))
            if not draw(axes, part.dropna(subset="value")):
                axes.text(0.5, 0.5, "not evaluated", ha="center", transform=axes.transAxes, color=GREY)
        axes_row[0].set_ylabel(ylabel)
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)


def size(table: Table) -> tuple[int, int]:
    """How many data sets and sources a table has."""
    return table.frame["dataset"].nunique(), table.frame["source"].nunique()


def accuracy(line: Mapping[Hashable, Any]) -> tuple[float, np.ndarray | None]:
    """Accuracy in percent and, for reproduced numbers, the lengths of its error bars, (2, 1): down, up."""
    percent = 100 / FACTOR[line["unit"]]
    value, low, high = (percent * float(line[name]) for name in ("value", "low", "high"))
    bars = None if np.isnan(low) else np.array([[value - low], [high - value]])
    if line["metric"] == "error":
        value, bars = 100 - value, None if bars is None else bars[::-1]
    return value, bars


def point(axes: Axes, line: Mapping[Hashable, Any], x: float, y: float, colour: str, marker: str) -> None:
    """The number of a line of a table: hollow if a masking check failed, crossed if it is refuted."""
    axes.plot(x, y, **look(colour, marker, hollow=line["masking"] == "failed" and line["attack"] != CLEAN))
    if line["refuted"]:
        axes.plot(x, y, **_CROSS)


def look(colour: str, marker: str, *, hollow: bool = False) -> dict[str, Any]:
    """How matplotlib draws a marker by itself."""
    faces = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.4}
    if not hollow:
        faces = {"markerfacecolor": colour, "markeredgecolor": "white", "markeredgewidth": 0.7}
    return {"linestyle": "none", "marker": marker, "markersize": 6.5} | faces


def doubts(lines: pd.DataFrame) -> list[Line2D]:
    """What a legend says of doubtful points among the lines that are drawn."""
    found = []
    if ((lines["masking"] == "failed") & (lines["attack"] != CLEAN)).any():
        found.append(Line2D([], [], label="hollow: masking check failed", **look(BLACK, "o", hollow=True)))
    if (lines["refuted"] != "").any():
        found.append(Line2D([], [], label="crossed: refuted by another attack", **_CROSS))
    return found


def _title(part: pd.DataFrame, dataset: str, frame: pd.DataFrame, columns: Collection[str]) -> str:
    """Whose numbers a panel shows: `part` of a table. Its source too if another one has its space."""
    if part.empty:
        return f"no published numbers for {dataset}"
    drawn = part.loc[part["column"].isin({*columns} - {CLEAN}), "attack"]
    attacks = ", ".join(drawn[drawn != ""].unique())
    under = f"\nunder {attacks}" if attacks else ""
    if part["source"].iloc[0] == PUBLISHED:
        return f"published: {part['published_as'].iloc[0]}{under}"
    space, source = part["space"].iloc[0], part["source"].iloc[0]
    alone = frame.loc[frame["space"] == space, "source"].nunique() == 1
    where = f"{space} space" if alone else f"{space} space ({source})"
    return f"reproduced: {dataset}, {where}{under}\n{part['scale'].iloc[0]}"
