"""Loss surfaces around test images, as the analysis of kind landscape finds them: two panels per model."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.axes3d import Axes3D

from robustfront.reporting.drawing import GREY, lacking, nothing_to_draw, styled
from robustfront.reporting.results import Analysed, Results

_PLANES = {"gradient": "gradient sign", "random": "random"}
"""Plane -> its first direction; the second one is random in both."""


def surfaces(
    results: Results,
    *,
    own_rows: Sequence[str] = (),
    label: Callable[[Analysed], str] = lambda item: item.title,
) -> Figure:
    """Mean cross entropy on two planes around the same test images, two panels per model.

    `own_rows`: methods that have a row of panels to themselves; on each data set all others share the first
    one. `label`: what stands above a model's panels. Height and colour have one scale per data set and plane.
    Above a surface: its rise and mean slope.
    """
    found, missing = results.analysed("landscape"), lacking(results.not_analysed("landscape"))
    rows = _rows(found, own_rows)
    width = max((len(row) for row in rows), default=1)
    with styled():
        # The resolution is that of the surfaces, which would be megabytes as vectors.
        figure = Figure(figsize=(2 * (2.0 * width + 0.3), 2.1 * max(1, len(rows)) + 0.9), dpi=200)
        if not rows:
            return nothing_to_draw(figure, f"no loss surfaces at this scale{missing}")
        images, height = len(found[0].array("gradient.surface")), figure.get_figheight()
        note = f"offsets in 1/255 of the pixel range; mean of {images} test images; {results.label}{missing}"
        figure.text(0.5, 0.12 / height, note, ha="center", color=GREY)
        halves = figure.subfigures(1, 2, squeeze=False)[0]
        for half, (plane, direction) in zip(halves, _PLANES.items(), strict=True):
            half.suptitle(f"{direction} × random", fontsize=11)
            edge = 0.3 / (2.0 * width + 0.3)
            half.subplots_adjust(
                left=edge,
                right=1 - edge / 4,
                bottom=0.3 / height,
                top=1 - 0.6 / height,
                wspace=0.1,
                hspace=0.15,
            )
            for position, row in enumerate(rows):
                top = max(float(_mean(item, plane).max()) for item in found if item.dataset == row[0].dataset)
                for column, item in enumerate(row):
                    axes = half.add_subplot(len(rows), width, position * width + column + 1, projection="3d")
                    assert isinstance(axes, Axes3D)
                    _surface(axes, item, plane, Normalize(0, top), label(item))
    return figure


def _rows(found: Sequence[Analysed], own_rows: Sequence[str]) -> list[list[Analysed]]:
    """The panels of each row, empty rows left out."""
    rows = []
    for dataset in dict.fromkeys(item.dataset for item in found):
        here = [item for item in found if item.dataset == dataset]
        rows.append([item for item in here if item.method not in own_rows])
        rows += [[item for item in here if item.method == method] for method in own_rows]
    return [row for row in rows if row]


def _mean(item: Analysed, plane: str) -> np.ndarray:
    surface: np.ndarray = item.array(f"{plane}.surface").astype(float).mean(axis=0)
    return surface


def _surface(axes: Axes3D, item: Analysed, plane: str, norm: Normalize, label: str) -> None:
    offsets, facts = 255 * item.array("offsets"), item.record.facts[plane]
    along, across = np.meshgrid(offsets, offsets, indexing="ij")
    axes.plot_surface(
        along,
        across,
        _mean(item, plane),
        cmap="cividis",
        norm=norm,
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
        rasterized=True,
    )
    axes.set_title(
        f"{label}\nrise {facts['rise']:.2f}, slope {facts['slope'] / 255:.3f} per 1/255",
        fontsize=8,
        y=0.98,
    )
    axes.set_zlim(0, norm.vmax)
    axes.set_xlabel(_PLANES[plane], fontsize=7, labelpad=-9)
    axes.set_ylabel("random", fontsize=7, labelpad=-9)
    axes.set_zlabel("cross entropy", fontsize=7, labelpad=-9)
    axes.tick_params(labelsize=6, pad=-4)
    axes.set_xticks([offsets[0], 0, offsets[-1]])
    axes.set_yticks([offsets[0], 0, offsets[-1]])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:.0f}")
    axes.zaxis.set_major_locator(MaxNLocator(4))
    axes.view_init(elev=26, azim=-125)
    axes.set_box_aspect((1, 1, 0.75), zoom=1.05)
