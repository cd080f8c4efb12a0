"""Figures 1a, 5c, 5d, 11c and 11d: the spread of singular values, layer by layer."""

import numpy as np
from matplotlib.axes import Axes

from robustfront.reporting.drawing import GREY
from robustfront.reporting.results import Results
from robustfront.studies.ar_strength import spectra
from robustfront.studies.ar_strength.families import COLOURS, Family


def draw(axes: Axes, results: Results, family: Family, dataset: str, convention: str) -> None:
    """STD of each convolution at strengths 4 and 16, and how many fall."""
    found = {
        strength: item
        for strength in ("4", "16")
        if (item := spectra.of_run(results, family.name(strength), dataset)) is not None
    }
    for strength, item in found.items():
        values = spectra.stds(item, convention)
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            linestyle="none",
            marker="o" if strength == "4" else "s",
            markersize=4,
            color=COLOURS[strength],
            label=f"AR {strength}",
        )
    axes.set_xlabel("convolution, from the stem on")
    axes.set_ylabel("STD of singular values")
    title = spectra.CONVENTIONS[convention]
    if len(found) == 2:
        groups = spectra.compared(found["4"], found["16"], convention)
        title += f"\n{len(groups.falls)} of {groups.layers} layers fall from 4 to 16"
        axes.legend(fontsize=7.5)
    else:
        axes.text(0.5, 0.5, "no results of both strengths", ha="center", transform=axes.transAxes, color=GREY)
    axes.set_title(title, fontsize=8.5)
