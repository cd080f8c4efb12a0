"""Remark 3.1 as a figure: how far f_adv - f_std is from what Eq. 22 says, in training and after."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from robustfront.reporting.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    lacking,
    nothing_to_draw,
    place,
    styled,
)
from robustfront.reporting.results import Analysed, Results
from robustfront.studies.npat.models import model

_PARTS = {
    "logit_drift": ("f − f$_{std}$", BLACK, "-"),
    "logit_drift_head": ("(W − W$_{std}$) h$_{std}$: what Eq. 22 says", BLUE, "--"),
    "logit_drift_rest": ("the rest: features and bias", VERMILION, ":"),
}
"""Column of history.csv and name of the fact -> label, colour, line style."""

_FOLLOWED = {
    "head_offset_in_row_space": ("head outside Null(W$_{std}$): max |(W − W$_{std}$) V|", "log"),
    "projected_gradient_share": ("left of NPDA's gradient: |P g| / |g|", "log"),
    "feature_drift_null_share": ("share of |h − h$_{std}$|² in Null(W$_{std}$)", "linear"),
}
"""Column of history.csv -> title and scale of its panel."""

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, GREY)
_DASHES = ("-", "--", ":", "-.", (0, (1, 3)))


def remark31(results: Results) -> Figure:
    """Remark 3.1 (Eq. 16, 22) as measured.

    From the analyses of kind null-space and the histories of their runs; those with the columns of
    `Drift.summary` get a panel above. Below: what of the head's offset lies in the row space of W_std, what
    the projection leaves of NPDA's gradient, where the features go, and the kept models on test images.
    """
    found, missing = results.analysed("null-space"), lacking(results.not_analysed("null-space"))
    known = {item.run.id: results.history(item.run.id) for item in found}
    histories = {run: history for run, history in known.items() if history is not None}
    followed = [item for item in found if "logit_drift" in histories.get(item.run.id, ())]
    with styled():
        first = 3.3 if followed else 0
        figure = Figure(figsize=(max(13.6, 4.2 * len(followed) + 0.7), first + 3.4))
        if not found:
            return nothing_to_draw(figure, f"no analysis of Remark 3.1 at this scale{missing}")
        if followed:
            _drifts(figure, histories, followed)
        panels = place(figure, [2.5] * len(_FOLLOWED), left=0.7, top=first + 0.35, height=2.3, gap=0.75)
        for axes, (column, (title, scale)) in zip(panels, _FOLLOWED.items(), strict=True):
            _followed(axes, histories, followed, column)
            axes.set_title(title, fontsize=9)
            axes.set_yscale(scale)
            if scale == "linear":
                axes.set_ylim(0, 1)
        (final,) = place(figure, [1.9], left=11.4, top=first + 0.35, height=2.3, gap=0)
        _final(final, found)
        note = f"{results.label}{missing}"
        figure.text(0.5, 0.1 / figure.get_figheight(), note, ha="center", fontsize=8, color=GREY)
    return figure


def _drifts(figure: Figure, histories: Mapping[str, pd.DataFrame], followed: Sequence[Analysed]) -> None:
    """A panel per run, side by side, on one scale."""
    width = (figure.get_figwidth() - 0.8) / len(followed) - 0.3
    grid = place(figure, [width] * len(followed), left=0.7, top=0.35, height=2.3, gap=0.3)
    highest = 0.0
    for axes, item in zip(grid, followed, strict=True):
        _drift(axes, histories[item.run.id], item)
        highest = max(highest, axes.get_ylim()[1])
    for axes in grid:
        axes.set_ylim(0, highest)
    grid[0].set_ylabel("root mean square, logits")
    grid[0].legend(fontsize=7.5)


def _drift(axes: Axes, history: pd.DataFrame, item: Analysed) -> None:
    for column, (label, colour, dash) in _PARTS.items():
        axes.plot(history["epoch"], history[column], color=colour, linestyle=dash, label=label)
    axes.set_title(f"{model(item)}, {item.dataset}", fontsize=9)
    axes.set_xlabel("epoch (validation images)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _followed(
    axes: Axes, histories: Mapping[str, pd.DataFrame], items: Sequence[Analysed], column: str
) -> None:
    """One quantity of all runs that log it, per epoch."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for item, colour, dash in zip(items, itertools.cycle(_COLOURS), itertools.cycle(_DASHES), strict=False):
        history = histories[item.run.id]
        if column in history and history[column].notna().any():
            axes.plot(history["epoch"], history[column], color=colour, linestyle=dash, label=model(item))
    if axes.lines:
        axes.legend(fontsize=7.5)
    else:
        axes.text(0.5, 0.5, "not logged", ha="center", va="center", transform=axes.transAxes, color=GREY)


def _final(axes: Axes, found: Sequence[Analysed]) -> None:
    """What Eq. 22 leaves out of the final models' drift."""
    facts = [item.record.facts["remark31"] for item in found]
    shares = [100 * fact["logit_drift_rest"] / max(fact["logit_drift"], 1e-300) for fact in facts]
    bars = axes.barh(np.arange(len(found)), shares, 0.6, color=VERMILION)
    axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=2)
    labels = [model(item).replace(", β", "\nβ") for item in found]
    axes.set_yticks(np.arange(len(found)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(110, 1.15 * max(shares)))
    axes.grid(visible=False, axis="y")
    axes.set_title("test images: |rest| / |f − f$_{std}$|", fontsize=9)
    axes.set_xlabel("distance from Eq. 22 (%)")
