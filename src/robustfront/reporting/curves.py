"""Training curves from history.csv: one figure per run, and all runs at a glance."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.errors import ArtefactError
from robustfront.reporting.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILION,
    nothing_to_draw,
    styled,
)
from robustfront.reporting.results import Results

Curves = Mapping[str, tuple[str, str, Any]]
"""Column of the history -> label, colour, line style."""

ACCURACIES: Curves = {
    "train_clean_accuracy": ("train, clean", BLUE, "--"),
    "validation_clean_accuracy": ("validation, clean", BLUE, "-"),
    "train_adversarial_accuracy": ("train, adversarial", VERMILION, "--"),
    "validation_adversarial_accuracy": ("validation, adversarial", VERMILION, "-"),
}
_LOSSES: Curves = {
    "train_loss": ("train, total", BLACK, "--"),
    "validation_clean_loss": ("validation cross entropy, clean", BLUE, "-"),
    "validation_adversarial_loss": ("validation cross entropy, adversarial", VERMILION, "-"),
}
_NULL_SPACE: Curves = {
    "projected_gradient_norm": ("attack: |P g|, g = ∂ℓ/∂h", GREEN, "-"),
    "projected_gradient_share": ("attack: |P g| / |g|", SKY, "-"),
    "head_offset_in_row_space": ("head: max |(W − W$_{std}$) V|", ORANGE, "-"),
}
_PARTS = (GREEN, ORANGE, SKY, GREY)
PANELS = 100


def training_curves(history: pd.DataFrame, *, title: str, selected_epoch: int | None = None) -> Figure:
    """Loss, accuracy (%) and learning rate per epoch of one run, whose history.csv `history` is.

    The fourth panel shows the null-space quantities of methods that have them, else the parts of
    the training loss. A dotted line marks the epoch whose weights were kept.
    """
    null_space = [name for name in _NULL_SPACE if name in history and history[name].notna().any()]
    with styled():
        figure = Figure(figsize=(7.4, 5.0), layout="constrained")
        figure.suptitle(title, fontsize=11)
        (loss, accuracy), (rate, last) = figure.subplots(2, 2, sharex=True)
        draw(loss, history, _LOSSES, title="loss")
        draw(accuracy, history, ACCURACIES, title="accuracy (%)", factor=100)
        draw(rate, history, {"lr": ("learning rate", BLACK, "-")}, title="learning rate")
        if null_space:
            draw(last, history, _NULL_SPACE, title="null-space quantities")
            if (history[null_space].max() > 0).any():
                last.set_yscale("log")
        else:
            training = [name for name in map(str, history) if name.startswith("train_")]
            parts = [name for name in training if name != "train_loss" and not name.endswith("_accuracy")]
            curves = {
                name: (name.removeprefix("train_").replace("_", " "), colour, "-")
                for name, colour in zip(parts, _PARTS, strict=False)
            }
            draw(last, history, curves, title="parts of the training loss")
            last.set_visible(bool(parts))
        for axes in (loss, accuracy, rate, last):
            if selected_epoch is not None:
                axes.axvline(selected_epoch, color=GREY, linestyle=":", linewidth=1)
        for axes in (rate, last):
            axes.set_xlabel("epoch" if selected_epoch is None else f"epoch (dotted: {selected_epoch}, kept)")
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def training_overview(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Small multiples: clean and adversarial validation accuracy (%) per epoch, one panel for each title.

    Of more than `PANELS` runs, the first so many: a page holds no more.
    """
    left_out = len(histories) - PANELS
    histories = dict(list(histories.items())[:PANELS])
    columns = min(4, max(1, len(histories)))
    rows = -(-len(histories) // columns)
    with styled():
        # At fixed places: finding them takes longer than drawing so many panels.
        width, height = max(2.6 * columns, 5.2), 1.9 * rows + 1.0
        figure = Figure(figsize=(width, height))
        sides = {"left": 0.7 / width, "right": 1 - 0.1 / width, "bottom": 0.55 / height}
        figure.subplots_adjust(**sides, top=1 - 0.6 / height, wspace=0.14, hspace=0.4)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        curves = {name: style for name, style in ACCURACIES.items() if name.startswith("validation")}
        for axes, (name, history) in zip(grid.flat, histories.items(), strict=False):
            draw(axes, history, curves, title=name, factor=100, legend=False)
            axes.set_ylim(-3, 103)
            axes.set_yticks([0, 50, 100])
            axes.xaxis.get_major_locator().set_params(integer=True, nbins=4)
        for axes in list(grid.flat)[len(histories) :]:
            axes.set_visible(False)
        more = f" ({left_out} more runs are not drawn)" if left_out > 0 else ""
        figure.supxlabel(f"epoch{more}", fontsize=9)
        figure.supylabel("validation accuracy (%)", fontsize=9, x=0.08 / width)
        handles = [
            Line2D([], [], color=colour, linestyle=dash, label=label)
            for label, colour, dash in curves.values()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def of_run(results: Results, *, run_id: str, title: str) -> Figure:
    """The training curves of one run. ArtefactError if its history is missing or damaged."""
    history = results.history(run_id)
    if history is None:
        raise ArtefactError(f"run {run_id}: its history.csv is missing or damaged; run `snakemake` again")
    return training_curves(
        history, title=title, selected_epoch=results.manifest(run_id).get("selected_epoch")
    )


def overview(results: Results) -> Figure:
    """`training_overview` of the runs that have a history."""
    histories = {results.title(run): results.history(run.id) for run in results.runs.values()}
    known = {title: history for title, history in histories.items() if history is not None}
    return training_overview(known) if known else nothing_to_draw(Figure(), "no run is trained yet")


def draw(
    axes: Axes,
    history: pd.DataFrame,
    curves: Curves,
    *,
    title: str | None = None,
    factor: float = 1.0,
    legend: bool = True,
) -> None:
    """Draws those columns of the history that hold anything; epochs without a value are skipped over."""
    if title is not None:
        axes.set_title(title, loc="left")
    drawn = 0
    for column, (label, colour, dash) in curves.items():
        if column in history and (known := history[["epoch", column]].dropna()).size:
            marker = "o" if len(known) < 3 else ""
            axes.plot(
                known["epoch"],
                factor * known[column],
                dash,
                color=colour,
                marker=marker,
                markersize=4,
                label=label,
            )
            drawn += 1
    if legend and drawn > 1:
        axes.legend(fontsize=8)
