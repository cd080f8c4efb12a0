"""Training curves from history.csv: one figure per run, all runs at a glance, and NPAT's Figure 4."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.artefacts import Layout
from robustfront.reporting import wording
from robustfront.reporting.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILION,
    save_figure,
    styled,
)
from robustfront.reporting.results import Plan, manifests, read_history, run_title
from robustfront.reporting.tables import NOT_RUN

_Curves = Mapping[str, tuple[str, str, Any]]
"""Column of the history -> label, colour, line style."""

_ACCURACIES: _Curves = {
    "train_clean_accuracy": ("train, clean", BLUE, "--"),
    "validation_clean_accuracy": ("validation, clean", BLUE, "-"),
    "train_adversarial_accuracy": ("train, adversarial", VERMILION, "--"),
    "validation_adversarial_accuracy": ("validation, adversarial", VERMILION, "-"),
}
_LOSSES: _Curves = {
    "train_loss": ("train, total", BLACK, "--"),
    "validation_clean_loss": ("validation cross entropy, clean", BLUE, "-"),
    "validation_adversarial_loss": ("validation cross entropy, adversarial", VERMILION, "-"),
}
_FIGURE4_LOSSES: _Curves = {
    "train_clean_loss": ("train, CE(x)", BLUE, "--"),
    "validation_clean_loss": ("validation, CE(x)", BLUE, "-"),
    "train_adversarial_loss": ("train, β KL(x, x′)", VERMILION, "--"),
    "validation_adversarial_loss": ("validation, CE(x′)", VERMILION, "-"),
}
_NULL_SPACE: _Curves = {
    "projected_gradient_norm": ("NPDA: |P g|, g = ∂ℓ/∂h", GREEN, "-"),
    "projected_gradient_share": ("NPDA: |P g| / |g|", SKY, "-"),
    "head_offset_in_row_space": ("head: max |(W − W$_{std}$) V|", ORANGE, "-"),
}
_PARTS = (GREEN, ORANGE, SKY, GREY)

FIGURE4 = {"npda-pgd": "NPDA + PGD-AT", "npgd-pgd": "NPGD + PGD-AT"}


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
        _curves(loss, history, _LOSSES, title="loss")
        _curves(accuracy, history, _ACCURACIES, title="accuracy (%)", factor=100)
        _curves(rate, history, {"lr": ("learning rate", BLACK, "-")}, title="learning rate")
        if null_space:
            _curves(last, history, _NULL_SPACE, title="null-space quantities")
            if (history[null_space].max() > 0).any():
                last.set_yscale("log")
        else:
            training = [name for name in map(str, history) if name.startswith("train_")]
            parts = [name for name in training if name != "train_loss" and not name.endswith("_accuracy")]
            curves = {
                name: (name.removeprefix("train_").replace("_", " "), colour, "-")
                for name, colour in zip(parts, _PARTS, strict=False)
            }
            _curves(last, history, curves, title="parts of the training loss")
            last.set_visible(bool(parts))
        for axes in (loss, accuracy, rate, last):
            if selected_epoch is not None:
                axes.axvline(selected_epoch, color=GREY, linestyle=":", linewidth=1)
        for axes in (rate, last):
            axes.set_xlabel("epoch" if selected_epoch is None else f"epoch (dotted: {selected_epoch}, kept)")
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def training_overview(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Small multiples: clean and adversarial validation accuracy (%) per epoch, one panel for each title."""
    columns = min(4, max(1, len(histories)))
    rows = -(-len(histories) // columns)
    with styled():
        figure = Figure(figsize=(2.6 * columns, 1.9 * rows + 0.5), layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        curves = {name: style for name, style in _ACCURACIES.items() if name.startswith("validation")}
        for axes, (name, history) in zip(grid.flat, histories.items(), strict=False):
            _curves(axes, history, curves, title=name, factor=100, legend=False)
            axes.set_ylim(-3, 103)
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in list(grid.flat)[len(histories) :]:
            axes.set_visible(False)
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("validation accuracy (%)", fontsize=9)
        handles = [
            Line2D([], [], color=colour, linestyle=dash, label=label)
            for label, colour, dash in curves.values()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def npat_figure4(plan: Plan, layout: Layout) -> Figure:
    """S000 (NPAT), Figure 4: loss, and accuracy with robustness (%), after each epoch of NPDA and NPGD.

    The paper does not say which variant it shows; these are the two with PGD samples. Two rows of panels per
    data set of the plan, a column per method. Several seeds are averaged. Adversarial: under the PGD with
    which the run's own validation attacks.
    """
    with styled():
        figure = Figure(figsize=(10.5, 5.4 * len(plan.datasets)), layout="constrained")
        grid = figure.subplots(2 * len(plan.datasets), 2, squeeze=False, sharex=True, sharey="row")
        for position, (dataset_id, dataset) in enumerate(plan.datasets.items()):
            for column, (run, name) in enumerate(FIGURE4.items()):
                histories = [read_history(layout, found.id) for found in plan.find(run, dataset_id)]
                seeds = f", mean of {len(histories)} seeds" if len(histories) > 1 else ""
                losses, accuracies = grid[2 * position : 2 * position + 2, column]
                losses.set_title(f"{name} on {dataset.name}{seeds}", loc="left")
                if histories:
                    mean = pd.concat(histories).groupby("epoch", as_index=False).mean()
                    _curves(losses, mean, _FIGURE4_LOSSES)
                    _curves(accuracies, mean, _ACCURACIES, factor=100)
                else:
                    losses.text(0.5, 0.5, NOT_RUN, ha="center", transform=losses.transAxes, color=GREY)
            grid[2 * position, 0].set_ylabel("loss")
            grid[2 * position + 1, 0].set_ylabel("accuracy (%)")
        for axes in grid[-1]:
            axes.set_xlabel(f"epoch ({wording.scale_label(plan.scale)})")
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def write_training_curves(plan: Plan, layout: Layout, folder: Path) -> list[Path]:
    """Saves `training_overview` and `training/<run id>` in `folder`, as SVG and PNG; returns the PNGs."""
    histories = {run.id: read_history(layout, run.id) for run in plan.runs.values()}
    titles = {run.id: run_title(plan, run) for run in plan.runs.values()}
    figures = {"training_overview": training_overview({titles[run]: histories[run] for run in histories})}
    for run, manifest in manifests(plan, layout).items():
        selected = manifest.get("selected_epoch")
        figures[f"training/{run}"] = training_curves(
            histories[run], title=titles[run], selected_epoch=selected
        )
    for stem, figure in figures.items():
        save_figure(figure, folder / stem)
    return [folder / f"{stem}.png" for stem in figures]


def _curves(
    axes: Axes,
    history: pd.DataFrame,
    curves: _Curves,
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
