"""NPAT's Figures 6 and 2b: loss surfaces, and the way of one image over one of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.axes3d import Axes3D

from robustfront.reporting.analyses import Analysed
from robustfront.reporting.drawing import BLACK, GREY, VERMILION, nothing_to_draw, place, styled

_PLANES = {"gradient": "gradient sign", "random": "random"}
"""Plane -> its first direction; the second one is random in both."""

_OWN_ROW = ("npda", "npgd")
"""Methods that have a row of panels to themselves; all others share the first one."""


def npat_figure6(found: Sequence[Analysed]) -> Figure:
    """S000, Figure 6: mean cross entropy on two planes around the same test images, two panels per model.

    `found`: the analyses of kind landscape. Each data set has a row for NPDA, one for NPGD and one for the
    rest. Height and colour have one scale per data set and plane. Above a surface: its rise and mean slope.
    """
    rows = _rows(found)
    width = max((len(row) for row in rows), default=1)
    with styled():
        # The resolution is that of the surfaces, which would be megabytes as vectors.
        figure = Figure(figsize=(2 * (2.0 * width + 0.3), 2.1 * max(1, len(rows)) + 0.9), dpi=200)
        if not rows:
            return nothing_to_draw(figure, "no loss surfaces at this scale")
        images, height = len(found[0].array("gradient.surface")), figure.get_figheight()
        note = f"offsets in 1/255 of the pixel range; mean of {images} test images; {found[0].scale}"
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
                    _surface(axes, item, plane, Normalize(0, top))
    return figure


def _rows(found: Sequence[Analysed]) -> list[list[Analysed]]:
    """The panels of each row, empty rows left out."""
    rows = []
    for dataset in dict.fromkeys(item.dataset for item in found):
        here = [item for item in found if item.dataset == dataset]
        rows.append([item for item in here if item.method not in _OWN_ROW])
        rows += [[item for item in here if item.method == method] for method in _OWN_ROW]
    return [row for row in rows if row]


def _mean(item: Analysed, plane: str) -> np.ndarray:
    surface: np.ndarray = item.array(f"{plane}.surface").astype(float).mean(axis=0)
    return surface


def _surface(axes: Axes3D, item: Analysed, plane: str, norm: Normalize) -> None:
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
        f"{item.label}\nrise {facts['rise']:.2f}, slope {facts['slope'] / 255:.3f} per 1/255",
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


_ATTACKS: Mapping[str, tuple[str, str, str]] = {
    "plain": ("plain step", BLACK, "o"),
    "projected": ("step with P ∂ℓ/∂h (NPDA)", VERMILION, "s"),
}
"""Attack -> its name, colour and marker; black and red as in the paper's figure."""


def npat_figure2b(found: Sequence[Analysed]) -> Figure:
    """S000, Figure 2b: one image under plain and under projected attack steps, on the loss surface it climbs.

    `found`: the analyses of kind path. A row per model: the surface with both ways as seen from above, the
    cross entropy after each step, and the images.
    """
    with styled():
        figure = Figure(figsize=(10.2, 3.9 * max(1, len(found))), dpi=200)
        if not found:
            return nothing_to_draw(figure, "no attack path at this scale")
        for position, item in enumerate(found):
            top = 3.9 * position
            facts = item.record.facts
            off = max(facts[name]["off_plane"] for name in _ATTACKS)
            title = f"{item.label}: test image {facts['image']} of {item.dataset}"
            title += f"; steps lie up to {off:.2f} off the plane; {item.scale}"
            figure.text(0.5, 1 - (top + 0.3) / figure.get_figheight(), title, ha="center")
            ways, bar = place(figure, [3.0, 0.12], left=0.7, top=top + 0.5, height=2.8, gap=0.12)
            (climbs,) = place(figure, [3.3], left=5.0, top=top + 0.5, height=2.8, gap=0)
            _ways(ways, bar, item)
            _climbs(climbs, item)
            for row, name in enumerate(["", *_ATTACKS]):
                (axes,) = place(figure, [0.8], left=8.9, top=top + 0.55 + row, height=0.8, gap=0)
                _image(axes, item, name)
    return figure


def _ways(axes: Axes, bar: Axes, item: Analysed) -> None:
    rows, columns, surface = (item.array(name) for name in ("rows", "columns", "surface"))
    axes.grid(visible=False)
    mesh = axes.pcolormesh(rows, columns, surface.T, cmap="cividis", shading="nearest", rasterized=True)
    axes.contour(rows, columns, surface.T, levels=8, colors="white", linewidths=0.5)
    for name, (label, colour, marker) in _ATTACKS.items():
        points = item.array(f"{name}.points")
        axes.plot(*points.T, "-", color="white", linewidth=3.2)
        axes.plot(
            *points.T, "-", color=colour, marker=marker, markersize=4, markeredgecolor="white", label=label
        )
    axes.set_aspect("equal")
    axes.set_xlabel("plain attack's direction (L2, pixel units)")
    axes.set_ylabel("projected attack's, orthogonal part")
    Colorbar(bar, mesh, label="cross entropy")


def _climbs(axes: Axes, item: Analysed) -> None:
    for name, (label, colour, marker) in _ATTACKS.items():
        losses = item.array(f"{name}.loss")
        share = item.record.facts[name]["null_share"]
        text = (
            label if share is None else f"{label}\n{100 * share:.0f} % of the shift of h in Null(W$_{{std}}$)"
        )
        # Iterate 0 is the image, 1 the attack's random start.
        axes.plot(np.arange(len(losses)) - 1, losses, color=colour, marker=marker, markersize=4, label=text)
    axes.set_xlabel("step (−1: image, 0: random start)")
    axes.set_ylabel("cross entropy")
    axes.set_ylim(top=1.45 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=7.5, loc="upper left")


def _image(axes: Axes, item: Analysed, attack: str) -> None:
    """The image itself, or what an attack made of it, under the prediction."""
    facts = item.record.facts
    if attack:
        pixels, (_, colour, _) = item.array(f"{attack}.image"), _ATTACKS[attack]
        title = f"{attack}, predicted {facts[attack]['prediction']}"
    else:
        pixels, colour = item.array("image"), BLACK
        title = f"image: {facts['label']}, predicted {facts['prediction']}"
    axes.imshow(np.moveaxis(pixels, 0, -1).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=7.5, color=colour, pad=2)
