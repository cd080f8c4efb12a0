"""NPAT's Figure 1 from its Table 1."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.reporting.drawing import BLACK, BLUE, GREY, ORANGE, VERMILION, styled
from robustfront.reporting.tables import PUBLISHED


@dataclass(frozen=True)
class _Family:
    name: str
    colour: str
    runs: Mapping[str, str]
    """Run name -> marker."""


# Colour: what the method does. Marker: what generates its training samples (o PGD, s TRADES, ^ SCORE).
_FAMILIES = (
    _Family("standard training", GREY, {"st": "o", "lse-st": "X"}),
    _Family(
        "adversarial training",
        BLUE,
        {"pgd-at": "o", "trades": "s", "trades-b0.01": "D", "frl": "P", "caat": "p", "score": "^"},
    ),
    _Family("NPDA (this paper)", ORANGE, {"npda-pgd": "o", "npda-trades": "s", "npda-score": "^"}),
    _Family(
        "NPGD (this paper)",
        VERMILION,
        {"npgd-pgd": "o", "npgd-trades": "s", "npgd-score": "^", "npgd-score-lse": "v"},
    ),
)


def npat_figure1(table: pd.DataFrame) -> Figure:
    """S000 (NPAT), Figure 1: clean accuracy against AutoAttack accuracy (%), a point per row of Table 1.

    `table` is what `tables.npat_table1` returns. A row of panels per data set: the published numbers first,
    then a panel per suite with 95 % intervals as error bars. Hollow marker: a gradient-masking check failed.
    """
    datasets = list(table["dataset"].unique())
    suites = list(table["suite"].unique())
    with styled():
        figure = Figure(figsize=(3.5 * len(suites), 3.4 * len(datasets) + 1.5), layout="constrained")
        grid = figure.subplots(len(datasets), len(suites), squeeze=False, sharey="row")
        for axes_row, dataset in zip(grid, datasets, strict=True):
            for axes, suite in zip(axes_row, suites, strict=True):
                part = table[(table["dataset"] == dataset) & (table["suite"] == suite)]
                _front(axes, part, dataset)
            axes_row[0].set_ylabel("accuracy under AutoAttack (%)")
        for axes in grid[-1]:
            axes.set_xlabel("clean accuracy (%)")
        legend = figure.legend(
            handles=_legend(table),
            loc="outside lower center",
            ncols=len(_FAMILIES),
            fontsize=8,
            columnspacing=2.5,
        )
        for text in legend.get_texts():
            if text.get_text() in {family.name for family in _FAMILIES}:
                text.set_fontweight("bold")
    return figure


def _front(axes: Axes, part: pd.DataFrame, dataset: str) -> None:
    if part.empty:
        axes.set_title(f"no published numbers for {dataset}")
    elif part["suite"].iloc[0] == PUBLISHED:
        axes.set_title(f"published: {part['published_as'].iloc[0]}")
    else:
        axes.set_title(f"reproduced: {dataset}, {part['space'].iloc[0]} space\n{part['scale'].iloc[0]}")
    numbers = part.dropna(subset="error_percent").to_dict("records")
    known = {(line["run"], line["attack"]): line for line in numbers}
    points = [
        (known[run, "clean"], known[run, "autoattack"], family.colour, marker)
        for family in _FAMILIES
        for run, marker in family.runs.items()
        if {(run, "clean"), (run, "autoattack")} <= known.keys()
    ]
    for clean, attacked, colour, marker in points:
        (x, x_bars), (y, y_bars) = _accuracy(clean), _accuracy(attacked)
        axes.errorbar(x, y, xerr=x_bars, yerr=y_bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.5)
        axes.plot(x, y, **_marker(colour, marker, hollow=attacked["masking"] == "failed"))
    if not points:
        axes.text(0.5, 0.5, "not evaluated", ha="center", va="center", transform=axes.transAxes, color=GREY)
    axes.margins(0.08)
    axes.set_xlim(right=min(axes.get_xlim()[1], 101))  # a t-interval may reach beyond 100 %


def _accuracy(line: Mapping[Hashable, Any]) -> tuple[float, np.ndarray | None]:
    """Accuracy in percent and, for reproduced numbers, the lengths of its error bars, (2, 1): down, up."""
    error, low, high = (float(line[f"{name}_percent"]) for name in ("error", "low", "high"))
    bars = None if np.isnan(low) else np.array([[high - error], [error - low]])
    return 100 - error, bars


def _marker(colour: str, marker: str, *, hollow: bool = False) -> dict[str, Any]:
    faces = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.4}
    if not hollow:
        faces = {"markerfacecolor": colour, "markeredgecolor": "white", "markeredgewidth": 0.7}
    return {"linestyle": "none", "marker": marker, "markersize": 6.5} | faces


def _legend(table: pd.DataFrame) -> list[Line2D]:
    """A column per family, padded to equal length, because matplotlib fills legends column by column."""
    rows = table.drop_duplicates("run").set_index("run")
    twice = rows["method"].duplicated(keep=False)
    names = rows["method"].mask(twice, rows["method"] + " from " + rows["pretrained"])
    height = max(len(family.runs) for family in _FAMILIES)
    handles = []
    for family in _FAMILIES:
        entries = [Line2D([], [], linestyle="none", label=family.name)]
        entries += [
            Line2D([], [], label=names[run], **_marker(family.colour, marker))
            for run, marker in family.runs.items()
        ]
        if family is _FAMILIES[0] and (table["masking"] == "failed").any():
            hollow = _marker(BLACK, "o", hollow=True)
            entries += [
                Line2D([], [], linestyle="none", label=" "),
                Line2D([], [], label="hollow: masking check failed", **hollow),
            ]
        handles += entries + [Line2D([], [], linestyle="none", label=" ")] * (height + 1 - len(entries))
    return handles
