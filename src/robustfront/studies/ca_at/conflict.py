"""Figure 3: the conflict of both gradients, along the training and under several attacks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from robustfront.reporting.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILION,
    lacking,
    nothing_to_draw,
    styled,
)
from robustfront.reporting.results import Analysed, Results

FOLLOWED = {"vanilla{}-0.5": BLUE, "vanilla{}-1": SKY, "ca{}-0.8": ORANGE, "ca{}-0.9": VERMILION}
"""Run, without what says network and batch norm -> colour."""
NAMES = {"vanilla{}-0.5": "λ = 0.5", "vanilla{}-1": "λ = 1", "ca{}-0.8": "γ = 0.8", "ca{}-0.9": "γ = 0.9"}
PARTS = {
    "": "ResNet18, as printed",
    "-tracked": "ResNet18, running statistics",
    "-r34": "ResNet34, as printed",
}
COLUMNS = {
    "gradient_conflict": "conflict μ",
    "gradient_cosine": "cosine φ",
    "clean_gradient_share": "share of steps along g$_c$",
}
"""Column of history.csv -> what it is called."""
INNER = {
    "clean": "two clean batches",
    "pgd": "PGD",
    "pgd-dlr": "PGD-DLR",
    "apgd-ce": "AutoPGD",
    "apgd-dlr": "AutoPGD-DLR",
    "t-apgd-dlr": "T-AutoPGD-DLR",
}


def figure3a(results: Results) -> Figure:
    """Figure 3a, and what Eq. 4 made of it: mu, phi and the share of steps along g_c after each epoch."""
    shown = [
        (dataset, part)
        for dataset in results.datasets
        for part in PARTS
        if any(results.find(name.format(part), dataset) for name in FOLLOWED)
    ]
    with styled():
        if not shown:
            return nothing_to_draw(Figure(), "no such runs at this scale")
        figure = Figure(figsize=(3.6 * len(COLUMNS), 2.5 * len(shown) + 0.6), layout="constrained")
        grid = figure.subplots(len(shown), len(COLUMNS), squeeze=False)
        for axes_row, (dataset, part) in zip(grid, shown, strict=True):
            for axes, (column, label) in zip(axes_row, COLUMNS.items(), strict=True):
                _followed(axes, results, dataset, part, column)
                axes.set_title(label, fontsize=9)
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes_row[0].set_ylabel(f"{PARTS[part]}\n{results.datasets[dataset].name}", fontsize=8)
            axes_row[0].set_yscale("log")
        for axes in grid[-1]:
            axes.set_xlabel("epoch (means over its steps)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle(results.label, fontsize=9)
    return figure


def _followed(axes: Axes, results: Results, dataset: str, part: str, column: str) -> None:
    for name, colour in FOLLOWED.items():
        for run in results.find(name.format(part), dataset)[:1]:
            history = results.history(run.id)
            if history is not None and column in history:
                known = history[["epoch", column]].dropna()
                axes.plot(
                    known["epoch"], known[column], color=colour, marker="o", markersize=3, label=NAMES[name]
                )


def figure3b(results: Results) -> Figure:
    """Figure 3b: mu of trained models under several attacks, and between two clean batches."""
    found = results.analysed("gradient-conflict")
    with styled():
        if not found:
            why = lacking(results.not_analysed("gradient-conflict"))
            return nothing_to_draw(Figure(), f"no such analysis at this scale{why}")
        figure = Figure(figsize=(max(7.0, 1.6 * len(found)), 3.6), layout="constrained")
        axes = figure.subplots()
        names = [name for name in INNER if any(name in item.record.facts["names"] for item in found)]
        width = 0.8 / len(names)
        for place, name in enumerate(names):
            x = np.arange(len(found)) + (place - (len(names) - 1) / 2) * width
            means, low, high = _conflicts(found, name)
            colour = GREY if name == "clean" else (BLUE, SKY, ORANGE, VERMILION, GREEN)[place - 1]
            axes.bar(
                x, means, width, yerr=[low, high], color=colour, label=INNER[name], error_kw={"elinewidth": 1}
            )
        axes.set_xticks(np.arange(len(found)), [item.title for item in found], rotation=20, ha="right")
        axes.set_ylabel("conflict μ")
        images = sorted({item.record.facts["images"] for item in found})
        axes.set_title(
            f"batches of {', '.join(map(str, images))} test images in train mode; bars: mean of two batches, "
            f"lines: both\n{results.label}"
        )
        axes.legend(fontsize=8, ncols=len(names))
        axes.grid(visible=False, axis="x")
    return figure


def _conflicts(found: Sequence[Analysed], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over both batches, and how far these lie below and above; NaN where an analysis lacks it."""
    values = np.array(
        [
            item.array("conflict")[item.record.facts["names"].index(name)]
            if name in item.record.facts["names"]
            else [np.nan, np.nan]
            for item in found
        ]
    )
    means = values.mean(axis=1)
    return means, means - values.min(axis=1), values.max(axis=1) - means
