"""Catastrophic overfitting: a model that withstands one step and not several.

It is seen on validation images, epoch by epoch: in the accuracy under FGSM, that under PGD-20, and the gap
between them. It sets in in the first epoch in which the gap is above 20 points and PGD-20 accuracy is below
half of its best so far. (A gap alone also opens while both rise; a fall alone may be one of both.)
"""

import pandas as pd
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLUE, GREY, VERMILION, nothing_to_draw, styled
from robustfront.reporting.results import Results

ONE_STEP, SEVERAL = "validation_fgsm_accuracy", "validation_pgd20_accuracy"
LARGEST_GAP, LEAST_SHARE = 0.2, 0.5

SINGLE_STEP = (
    *("fgsm-at", "rfgsm-at", "free", "fbf", "r-mgm", "gat", "gat-wa", "nuat", "nuat-wa"),
    *("fgsm-at-eps16", "nuat-eps12", "nuat-eps16", "nuat-eq2", "nuat-constant-momentum"),
    *("wrn-fbf", "wrn-gat", "wrn-gat-wa", "wrn-nuat", "wrn-nuat-h", "wrn-nuat-wa"),
    *("wrn-nuat-wa-h25", "wrn-nuat-wa-h60", "wrn-nuat-wa-h80", "wrn-nuat2", "wrn-nuat2-wa"),
)
"""Runs that train on one or two steps."""


def onset(history: pd.DataFrame) -> int | None:
    """The epoch in which catastrophic overfitting sets in; None if in none, or if it was not logged."""
    if not {ONE_STEP, SEVERAL} <= {*history}:
        return None
    known = history[history["epoch"] > 0].dropna(subset=[ONE_STEP, SEVERAL])
    best = known[SEVERAL].cummax()
    fallen = known[SEVERAL] < LEAST_SHARE * best
    overfit = known.loc[(known[ONE_STEP] - known[SEVERAL] > LARGEST_GAP) & fallen, "epoch"]
    return None if overfit.empty else int(overfit.iloc[0])


def overfitting(results: Results) -> Figure:
    """Both accuracies of every single-step training, and where it overfits, a panel per run."""
    shown = []
    for dataset_id in list(results.datasets)[:1]:
        for name in SINGLE_STEP:
            for run in results.find(name, dataset_id)[:1]:
                history = results.history(run.id)
                if history is not None and {ONE_STEP, SEVERAL} <= {*history}:
                    # not every epoch is judged at every scale
                    shown.append((name, history.dropna(subset=[ONE_STEP, SEVERAL])))
    with styled():
        if not shown:
            return nothing_to_draw(Figure(), "no single-step trainings at this scale")
        columns = min(5, len(shown))
        rows = -(-len(shown) // columns)
        figure = Figure(figsize=(2.2 * columns + 0.6, 1.9 * rows + 0.7), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=False, sharey=True, squeeze=False).ravel()
        for axes, (name, history) in zip(grid, shown, strict=False):
            axes.plot(history["epoch"], 100 * history[ONE_STEP], color=BLUE, label="FGSM")
            axes.plot(history["epoch"], 100 * history[SEVERAL], color=VERMILION, label="PGD-20")
            axes.fill_between(
                history["epoch"], 100 * history[SEVERAL], 100 * history[ONE_STEP], color=GREY, alpha=0.2
            )
            at = onset(history)
            axes.set_title(name if at is None else f"{name}: from epoch {at}", fontsize=8)
            if at is not None:
                axes.axvline(at, color=GREY, linestyle="--", linewidth=1)
            axes.set_ylim(0, 100)
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        grid[0].legend(fontsize=7, loc="upper left")
        figure.supylabel("validation accuracy (%)", fontsize=9)
        figure.supxlabel(f"epoch ({results.label})", fontsize=9)
    return figure
