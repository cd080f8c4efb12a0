"""NPAT's Figures 1 and 5, from its Tables 1 and 3."""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.reporting.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION, styled
from robustfront.reporting.other_runs import LISTED, OTHER
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

BETA_METHODS = {"NPDA": ORANGE, "NPGD": VERMILION}


def npat_figure1(table: pd.DataFrame) -> Figure:
    """S000 (NPAT), Figure 1: clean accuracy against AutoAttack accuracy (%), a point per row of Table 1.

    `table` is Table 1 as `tables.reproduce` returns it. A row of panels per data set: the published numbers
    first, then a panel per suite with 95 % intervals as error bars. Hollow marker: a gradient-masking check
    failed.
    """
    return _fronts(table, _FAMILIES)


def other_runs_front(table: pd.DataFrame) -> Figure:
    """The reproduced panels of Figure 1 with the other runs in them; `table` is what `compare` returns."""
    others = table.loc[table[LISTED] == OTHER, "run"].unique()
    markers = dict(zip(others, itertools.cycle("os^DvPXp"), strict=False))
    return _fronts(table, [*_FAMILIES, _Family(OTHER, GREEN, markers)] if markers else _FAMILIES)


def _fronts(table: pd.DataFrame, families: Sequence[_Family]) -> Figure:
    datasets = list(table["dataset"].unique())
    suites = list(table["suite"].unique())
    with styled():
        size = (max(10.5, 3.5 * len(suites)), 3.4 * len(datasets) + 1.5)  # 10.5: what the legend takes
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(datasets), len(suites), squeeze=False, sharey="row")
        for axes_row, dataset in zip(grid, datasets, strict=True):
            for axes, suite in zip(axes_row, suites, strict=True):
                part = table[(table["dataset"] == dataset) & (table["suite"] == suite)]
                _front(axes, part, dataset, families)
            axes_row[0].set_ylabel("accuracy under AutoAttack (%)")
        for axes in grid[-1]:
            axes.set_xlabel("clean accuracy (%)")
        legend = figure.legend(
            handles=_legend(table, families),
            loc="outside lower center",
            ncols=len(families),
            fontsize=8,
            columnspacing=2.5,
        )
        for text in legend.get_texts():
            if text.get_text() in {family.name for family in families}:
                text.set_fontweight("bold")
    return figure


def _front(axes: Axes, part: pd.DataFrame, dataset: str, families: Sequence[_Family]) -> None:
    axes.set_title(_panel_title(part, dataset))
    numbers = part.dropna(subset="error_percent").to_dict("records")
    known = {(line["run"], line["attack"]): line for line in numbers}
    points = [
        (known[run, "clean"], known[run, "autoattack"], family.colour, marker)
        for family in families
        for run, marker in family.runs.items()
        if {(run, "clean"), (run, "autoattack")} <= known.keys()
    ]
    for clean, attacked, colour, marker in points:
        (x, x_bars), (y, y_bars) = _accuracy(clean), _accuracy(attacked)
        axes.errorbar(x, y, xerr=x_bars, yerr=y_bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.5)
        axes.plot(x, y, **_marker(colour, marker, hollow=attacked["masking"] == "failed"))
    if not points:
        _say(axes, "not evaluated")
    axes.margins(0.08)
    axes.set_xlim(right=min(axes.get_xlim()[1], 101))  # a t-interval may reach beyond 100 %


def npat_figure5(table: pd.DataFrame) -> Figure:
    """S000 (NPAT), Figure 5: clean and AutoAttack accuracy (%) against beta, from Table 3.

    `table` is Table 3 as `tables.reproduce` returns it. Panels as in Figure 1; a scale that left values of
    beta out has fewer points. Bars are 95 % intervals.
    """
    datasets, suites = list(table["dataset"].unique()), list(table["suite"].unique())
    curves: dict[str, tuple[str, str, Any]] = {
        "clean": ("clean", "o", "-"),
        "autoattack": ("under AutoAttack", "s", "--"),
    }
    with styled():
        figure = Figure(figsize=(3.5 * len(suites), 2.9 * len(datasets) + 0.7), layout="constrained")
        grid = figure.subplots(len(datasets), len(suites), squeeze=False, sharey="row", sharex=True)
        for axes_row, dataset in zip(grid, datasets, strict=True):
            for axes, suite in zip(axes_row, suites, strict=True):
                part = table[(table["dataset"] == dataset) & (table["suite"] == suite)]
                axes.set_title(_panel_title(part, dataset))
                known = part.dropna(subset="error_percent")
                for method, colour in BETA_METHODS.items():
                    for attack, (_, marker, dash) in curves.items():
                        lines = known[(known["method"] == method) & (known["attack"] == attack)]
                        _sweep(axes, lines, colour, marker, dash)
                if known.empty:
                    _say(axes, "not evaluated")
            axes_row[0].set_ylabel("accuracy (%)")
        for axes in grid[-1]:
            axes.set_xlabel("adversarial coefficient β")
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle=dash, label=f"{method}, {label}")
            for method, colour in BETA_METHODS.items()
            for label, marker, dash in curves.values()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    return figure


def _sweep(axes: Axes, lines: pd.DataFrame, colour: str, marker: str, dash: Any) -> None:
    """A curve over beta, with the error bars that its numbers have."""
    points = [_accuracy(line) for line in lines.to_dict("records")]
    beta, accuracy = lines["beta"].astype(float), [value for value, _ in points]
    axes.plot(beta, accuracy, dash, marker=marker, color=colour, markersize=4.5, linewidth=1.3)
    for x, (y, bars) in zip(beta, points, strict=True):
        axes.errorbar(x, y, yerr=bars, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.5)


def _panel_title(part: pd.DataFrame, dataset: str) -> str:
    """Whose numbers a panel shows; `part` are the lines of the table that belong to it."""
    if part.empty:
        return f"no published numbers for {dataset}"
    if part["suite"].iloc[0] == PUBLISHED:
        return f"published: {part['published_as'].iloc[0]}"
    return f"reproduced: {dataset}, {part['space'].iloc[0]} space\n{part['scale'].iloc[0]}"


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)


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


def _legend(table: pd.DataFrame, families: Sequence[_Family]) -> list[Line2D]:
    """A column per family, padded to equal length, because matplotlib fills legends column by column."""
    rows = table.drop_duplicates("run").set_index("run")
    twice = rows["method"].duplicated(keep=False)
    names = rows["method"].mask(twice, rows["method"] + " from " + rows["pretrained"])
    height = max(len(family.runs) for family in families)
    handles = []
    for family in families:
        entries = [Line2D([], [], linestyle="none", label=family.name)]
        entries += [
            Line2D([], [], label=names[run], **_marker(family.colour, marker))
            for run, marker in family.runs.items()
            if run in names
        ]
        if family is _FAMILIES[0] and (table["masking"] == "failed").any():
            hollow = _marker(BLACK, "o", hollow=True)
            entries += [
                Line2D([], [], linestyle="none", label=" "),
                Line2D([], [], label="hollow: masking check failed", **hollow),
            ]
        handles += entries + [Line2D([], [], linestyle="none", label=" ")] * (height + 1 - len(entries))
    return handles
