"""How figures look and are saved. No pyplot: a figure is a value, and equal figures are equal bytes."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from robustfront.artefacts import atomic_write

# Okabe and Ito's palette: distinguishable with every common colour blindness, and in grey.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#6B6B6B"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "robustfront",
}


def styled() -> AbstractContextManager[None]:
    """Figures are built and saved in this context, whatever a user's matplotlibrc says."""
    return style.context(["default", _STYLE])


def save_figure(figure: Figure, stem: Path) -> None:
    """Writes `stem`.svg and `stem`.png (200 dpi), each atomically and without a date inside.

    Lays the figure out once and draws it once for each file, where `Figure.savefig` does either twice.
    """
    with styled():
        if engine := figure.get_layout_engine():
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.set_facecolor("white")
        with atomic_write(stem.with_name(f"{stem.name}.svg")) as temporary:
            FigureCanvasSVG(figure).print_svg(temporary, metadata={"Date": None})
        figure.dpi = 200  # only now: an SVG is drawn at 72, and leaves that behind
        with atomic_write(stem.with_name(f"{stem.name}.png")) as temporary:
            FigureCanvasAgg(figure).print_png(temporary)


def place(
    figure: Figure, widths: Sequence[float], *, left: float, top: float, height: float, gap: float
) -> list[Axes]:
    """Axes side by side, at fixed places in inches; `top` is measured from the figure's upper edge.

    For figures of several blocks: given those, constrained layout finds places that differ from one time to
    the next in their last digits, and so would the files.
    """
    width, full = (float(length) for length in figure.get_size_inches())
    placed = []
    for own in widths:
        placed.append(figure.add_axes((left / width, 1 - (top + height) / full, own / width, height / full)))
        left += own + gap
    return placed


def nothing_to_draw(figure: Figure, reason: str) -> Figure:
    """The figure with a sentence in place of panels: a scale without these results has its file too."""
    figure.set_size_inches(5, 1.2)
    figure.text(0.5, 0.5, reason, ha="center", va="center", color=GREY)
    return figure


def lacking(missing: Mapping[str, str]) -> str:
    """What a figure says of results that are not there, by title of the run: `; not there: st (diverged)`."""
    said = ", ".join(f"{title} ({state})" for title, state in missing.items())
    return f"; not there: {said}" if said else ""
