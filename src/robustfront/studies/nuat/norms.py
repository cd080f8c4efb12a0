"""Figures 2 and 3a: where attacks by a norm lead, and the nuclear norm of robust and of fallen images."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLUE, GREY, VERMILION, lacking, nothing_to_draw, styled
from robustfront.reporting.results import Results

NORMS = {"frobenius": "Frobenius norm", "nuclear": "nuclear norm"}
PUBLISHED = {"frobenius": 0.87, "nuclear": 0.97}
"""Mean entropies that the paper prints for CIFAR-10; it does not say in which unit."""


def figure2(results: Results) -> Figure:
    """Confusion matrices of the attacks by either norm, for every model that was analysed."""
    found, missing = results.analysed("norm-attacks"), lacking(results.not_analysed("norm-attacks"))
    with styled():
        if not found:
            return nothing_to_draw(Figure(), f"no attacks by norms at this scale{missing}")
        figure = Figure(figsize=(8.6, 4.3 * len(found)), layout="constrained")
        grid = figure.subplots(len(found), 2, squeeze=False)
        for row, item in zip(grid, found, strict=True):
            sizes = item.array("sizes")
            for axes, (norm, words) in zip(row, NORMS.items(), strict=True):
                facts = item.record.facts[norm]
                _confusion(axes, item.array(f"{norm}.confusion"))
                nats = facts["entropy"]
                axes.set_title(
                    f"{item.title}: {words}\nentropy {nats:.2f} nats = {nats / np.log(2):.2f} bits "
                    f"(printed {PUBLISHED[norm]:.2f}), diagonal {100 * facts['accuracy']:.1f} %\n"
                    f"change of logits: nuclear {facts['nuclear']:.1f}, Frobenius {facts['frobenius']:.1f}, "
                    f"effective rank {facts['rank']:.2f}",
                    fontsize=8,
                )
            row[0].set_ylabel(f"class ({sizes.min():.0f} to {sizes.max():.0f} images each)")
        figure.supxlabel(f"prediction; {results.label}{missing}", fontsize=8, color=GREY)
    return figure


def _confusion(axes: Axes, counts: np.ndarray) -> None:
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set_xticks(range(len(counts)))
    axes.set_yticks(range(len(counts)))
    axes.tick_params(labelsize=7)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            shade = "black" if share > 0.6 else "white"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6, color=shade)


def figure3a(results: Results) -> Figure:
    """The nuclear norm of each batch of robust, and of fallen, images, a pair of columns per model."""
    found, missing = results.analysed("nuclear-norms"), lacking(results.not_analysed("nuclear-norms"))
    with styled():
        if not found:
            return nothing_to_draw(Figure(), f"no nuclear norms at this scale{missing}")
        figure = Figure(figsize=(1.5 * len(found) + 1.5, 3.6), layout="constrained")
        axes = figure.subplots()
        for position, item in enumerate(found):
            for offset, (group, colour) in zip(
                (-0.17, 0.17), (("robust", BLUE), ("fallen", VERMILION)), strict=True
            ):
                values = item.array(group)
                at = position + offset + np.linspace(-0.08, 0.08, max(2, len(values)))[: len(values)]
                label = group if position == 0 else None
                axes.plot(at, values, ".", color=colour, alpha=0.6, label=label)
                if len(values):
                    axes.hlines(
                        values.mean(), position + offset - 0.13, position + offset + 0.13, color=colour
                    )
                else:
                    axes.text(
                        position + offset,
                        0,
                        "no full\nbatch",
                        ha="center",
                        va="bottom",
                        fontsize=6,
                        color=colour,
                    )
        names = [
            f"{item.title}\n{item.record.facts['robust']['images']} | {item.record.facts['fallen']['images']}"
            for item in found
        ]
        axes.set_xticks(range(len(found)), names, fontsize=8)
        axes.set_ylabel("nuclear norm of f(x′) − f(x)")
        axes.set_ylim(bottom=0)
        axes.set_xlim(-0.5, len(found) - 0.5)
        axes.legend(fontsize=8)
        figure.supxlabel(
            f"below: images that withstand | fall; {results.label}{missing}", fontsize=8, color=GREY
        )
    return figure
