"""Figure 2b: the way of one image under plain and under projected attack steps, over a loss surface."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLACK, VERMILION, lacking, nothing_to_draw, place, styled
from robustfront.reporting.results import Analysed, Results
from robustfront.studies.npat.models import model

_ATTACKS: Mapping[str, tuple[str, str, str]] = {
    "plain": ("plain step", BLACK, "o"),
    "projected": ("step with P ∂ℓ/∂h (NPDA)", VERMILION, "s"),
}
"""Attack -> its name, colour and marker; black and red as in the paper's figure."""


def figure2b(results: Results) -> Figure:
    """Figure 2b: one image under plain and under projected attack steps, on the loss surface it climbs.

    From the analyses of kind path. A row per model: the surface with both ways as seen from above, the
    cross entropy after each step, and the images.
    """
    found, missing = results.analysed("path"), lacking(results.not_analysed("path"))
    with styled():
        figure = Figure(figsize=(10.2, 3.9 * max(1, len(found))), dpi=200)
        if not found:
            return nothing_to_draw(figure, f"no attack path at this scale{missing}")
        for position, item in enumerate(found):
            top = 3.9 * position
            facts = item.record.facts
            off = max(facts[name]["off_plane"] for name in _ATTACKS)
            title = f"{model(item)}: test image {facts['image']} of {item.dataset}"
            title += f"; steps lie up to {off:.2f} off the plane; {results.label}{missing}"
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
