"""Figure 2, drawn: there is nothing measured in it."""

import numpy as np
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLACK, BLUE, GREY, ORANGE, SKY, VERMILION, styled
from robustfront.reporting.results import Results


def figure2(results: Results) -> Figure:
    """Left, margins concentrate around a boundary; right, a line passes regions where a network is linear."""
    with styled():
        figure = Figure(figsize=(9.5, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes in (left, right):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
        x = np.linspace(-4, 4, 200)
        for shift, width, colour, label in ((1.6, 1.3, BLUE, "weak AR"), (0.6, 0.6, VERMILION, "strong AR")):
            left.plot(x, np.exp(-((x - shift) ** 2) / (2 * width**2)) / width, color=colour, label=label)
        left.axvline(0, color=BLACK, linewidth=0.9)
        left.text(-0.1, 1.75, "decision boundary", ha="right", fontsize=8)
        left.annotate("", (0.6, -0.12), (1.6, -0.12), arrowprops={"arrowstyle": "->", "color": GREY})
        left.text(0.2, -0.3, "margins concentrate", ha="left", fontsize=8, color=GREY)
        left.set_ylim(-0.4, 1.9)
        left.legend(fontsize=8, loc="upper right")
        left.set_title("(a) margins of examples, schematic", fontsize=9)
        corners = [
            ([0, 1.1, 0.8, 0], [0, 0, 2, 2], GREY),
            ([1.1, 2.3, 2.0, 0.8], [0, 0, 2, 2], ORANGE),
            ([2.3, 3.4, 3.4, 2.0], [0, 0, 2, 2], SKY),
        ]
        for xs, ys, colour in corners:
            right.fill(xs, ys, color=colour, alpha=0.3, linewidth=0)
        right.plot([0.3, 3.1], [0.5, 1.6], color=BLACK, linewidth=2)
        right.plot([0.3, 3.1], [0.5, 1.6], "o", color=BLACK)
        right.text(0.22, 0.3, "x", fontsize=10)
        right.text(3.12, 1.7, "x'", fontsize=10)
        for place, label in ((0.35, "W¹"), (1.45, "W²"), (2.75, "W³")):
            right.text(place, 1.8, label, fontsize=9, color=GREY)
        right.set_title("(b) a segment through regions where the network is linear (Lemma 3.1)", fontsize=9)
        figure.supxlabel("drawn, not measured", fontsize=8, color=GREY)
    return figure
