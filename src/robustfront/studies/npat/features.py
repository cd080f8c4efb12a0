"""Figure 3: where attacks move penultimate features, in the paper's toy and in trained models."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from robustfront.analysis import toy
from robustfront.reporting.drawing import BLACK, BLUE, GREY, ORANGE, VERMILION, lacking, place, styled
from robustfront.reporting.results import Analysed, Results
from robustfront.studies.npat.models import model

_ROW = 2.4
"""Height of a row of panels, in inches."""

SHOWN = 60
"""Test images drawn of each model."""

_ATTACKS = {"plain": "typical attack", "projected": "projected attack (NPDA)"}
_VIEWS = {"top view": (0, 1), "front view": (0, 2)}
"""View -> its coordinates: 0 and 1 lie in the row space of W_std, 2 in its null space."""

_AXES = ("row space, 1st axis", "row space, 2nd axis", "null space")


def figure3(results: Results) -> Figure:
    """Figure 3: shifts of features under the plain and the projected attack, against Null(W_std).

    From the analyses of kind null-space. First the paper's toy (simulated), then a row per trained model:
    the first test images in the plane of two row-space axes (top view) and of a row and a null-space axis
    (front view). Last the share of the squared shift that lies in the null space, over all analysed images.
    """
    found, missing = results.analysed("null-space"), lacking(results.not_analysed("null-space"))
    sketch = toy.simulate()
    shifts = {"plain": sketch.typical, "projected": sketch.projected}
    rows = {
        "toy (simulated, 3 features)": {"clean": sketch.features}
        | {attack: sketch.features + shift for attack, shift in shifts.items()}
    }
    for item in found:
        shown = {name: item.array(f"{name}.coordinates")[:SHOWN] for name in ("clean", *_ATTACKS)}
        rows[f"{model(item)}, {item.dataset}"] = shown
    with styled():
        bottom = 0.4 + _ROW * len(rows)
        figure = Figure(figsize=(10.5, bottom + (3.1 if found else 0.1)))
        for position, (title, points) in enumerate(rows.items()):
            top = 0.4 + _ROW * position
            figure.text(
                0.5,
                1 - (top + 0.1) / figure.get_figheight(),
                title,
                ha="center",
                fontsize=10,
                fontweight="bold",
            )
            _views(place(figure, [1.96] * 4, left=0.6, top=top + 0.4, height=1.47, gap=0.63), points)
        if found:
            _shares(
                place(figure, [7.6], left=0.6, top=bottom + 0.4, height=2.1, gap=0)[0],
                found,
                f"{results.label}{missing}",
            )
        handles = [
            Line2D([], [], linestyle="none", marker="o", markersize=4, color=BLUE, label="h(x)"),
            Line2D([], [], linestyle="none", marker="o", markersize=4, color=VERMILION, label="h(x′)"),
            Line2D([], [], color=VERMILION, linewidth=0.8, label="shift Δh"),
        ]
        figure.legend(handles=handles, loc="upper center", ncols=3)
    return figure


def _views(row: Sequence[Axes], points: Mapping[str, np.ndarray]) -> None:
    """Four panels: both views of both attacks. Points (N, 3) of `clean` images and under each attack."""
    panels = [(attack, view) for attack in _ATTACKS for view in _VIEWS]
    everything = np.concatenate([*points.values()])
    for axes, (attack, view) in zip(row, panels, strict=True):
        first, second = _VIEWS[view]
        starts, ends = points["clean"][:, [first, second]], points[attack][:, [first, second]]
        axes.plot(*np.stack([starts, ends]).T.swapaxes(1, 2), color=VERMILION, linewidth=0.6, alpha=0.7)
        axes.plot(*starts.T, "o", color=BLUE, markersize=2.6)
        axes.plot(*ends.T, "o", color=VERMILION, markersize=2.6)
        axes.set_title(f"{_ATTACKS[attack]}, {view}", fontsize=8)
        axes.set_xlabel(_AXES[first], fontsize=8)
        axes.set_ylabel(_AXES[second], fontsize=8)
        axes.tick_params(labelsize=7)
        _frame(axes, everything[:, [first, second]])


def _frame(axes: Axes, points: np.ndarray) -> None:
    """Limits around all points: the same for both attacks, and a unit as long on either axis."""
    centre, span = (points.max(axis=0) + points.min(axis=0)) / 2, np.ptp(points, axis=0)
    half = 0.55 * max(span[0], span[1] * 4 / 3)
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - 0.75 * half, centre[1] + 0.75 * half)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))


def _shares(axes: Axes, found: Sequence[Analysed], note: str) -> None:
    positions = np.arange(len(found))
    for offset, (attack, colour) in zip(
        (-0.2, 0.2), {"plain": BLUE, "projected": ORANGE}.items(), strict=True
    ):
        shares = [100 * (item.record.facts[attack]["null_share"] or 0) for item in found]
        bars = axes.bar(positions + offset, shares, 0.36, color=colour, label=_ATTACKS[attack])
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    random = [100 * item.record.facts["null_share_of_random_direction"] for item in found]
    axes.hlines(
        random, positions - 0.42, positions + 0.42, colors=BLACK, linestyles="--", label="random direction"
    )
    axes.set_xticks(positions, [f"{model(item)}\n{item.dataset}" for item in found], fontsize=8)
    axes.set_ylim(0, 105)
    axes.set_ylabel("share of |Δh|² in Null(W$_{std}$) (%)")
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    images = found[0].record.facts["images"]
    axes.set_title(f"over {images} test images; {note}", fontsize=9, color=GREY)
