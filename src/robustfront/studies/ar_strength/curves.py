"""Figures 1c, 3, 7, 9 and 12: quantities against the strength of training."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLUE, GREEN, GREY, VERMILION, nothing_to_draw, styled
from robustfront.reporting.results import Results
from robustfront.studies.ar_strength import measures
from robustfront.studies.ar_strength.families import (
    DEEP,
    FGSM,
    PGD,
    STRENGTHS,
    TINY,
    Family,
    absent,
    datasets,
    network,
    radius,
    signed_by,
)


class Line(NamedTuple):
    """How a quantity is drawn. `right`: against the scale on the right, in percent."""

    quantity: measures.Quantity
    label: str
    colour: str
    marker: str
    right: bool = False


GAPS = (
    Line(measures.train_loss, "training loss", GREEN, "s"),
    Line(measures.loss_gap, "GE gap (test − training loss)", BLUE, "o"),
    Line(measures.error_gap, "error gap (%)", VERMILION, "^", right=True),
)
TEST = (
    Line(measures.test_loss, "test loss", BLUE, "o"),
    Line(measures.test_error, "test error (%)", VERMILION, "^", right=True),
)


def figure3(results: Results) -> Figure:
    """Figure 3: gaps, training loss, test loss and error against the strength, for each data set."""
    return _gaps(results, PGD, TINY)


def figure7(results: Results) -> Figure:
    """Figure 7: the same of the deeper network."""
    return _gaps(results, DEEP)


def figure9(results: Results) -> Figure:
    """Figure 9: the same of networks trained by single steps."""
    return _gaps(results, FGSM)


def figure12(results: Results) -> Figure:
    """Figure 12: accuracy under PGD among the images that are right when clean."""
    shown = [(dataset, family) for family in (PGD, DEEP, TINY) for dataset, _ in datasets(results, family)]
    with styled():
        figure = Figure(figsize=(4.2 * max(1, len(shown)), 3.2), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no run of Figure 12 at this scale")
        more = ""
        for axes, (dataset, family) in zip(_row(figure, len(shown)), shown, strict=True):
            line = Line(measures.robust_of_correct, "PGD, of correct ones", VERMILION, "o", right=True)
            _draw(axes, results, family, dataset, [line])
            axes.axhline(50, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_ylim(0, 100)
            axes.set_ylabel("accuracy under PGD (%)")
            axes.set_title(_title(results, family, dataset), fontsize=9)
            more += absent(results, family, dataset)
        signed_by(figure, results, more)
    return figure


def accuracies(axes: Axes, results: Results, family: Family, dataset: str) -> None:
    """Figure 1c: clean accuracy, and that under PGD of the images that are right when clean."""
    right = Line(measures.robust_of_correct, "PGD, of correct ones", VERMILION, "o", right=True)
    _draw(axes, results, family, dataset, [right])
    points = _points(results, family, dataset, measures.test_error)
    _errorbar(axes, {x: tuple(1 - each for each in y) for x, y in points.items()}, BLUE, "s", "clean", 100)
    axes.set_ylabel("accuracy (%)")
    axes.legend(fontsize=7.5)


def _gaps(results: Results, *families: Family) -> Figure:
    shown = datasets(results, *families)
    with styled():
        figure = Figure(figsize=(9.5, 3.1 * max(1, len(shown)) + 0.3), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no such run at this scale")
        grid = figure.subplots(len(shown), 2, squeeze=False)
        more = ""
        for row, (dataset, family) in zip(grid, shown, strict=True):
            for axes, lines, part in zip(row, (GAPS, TEST), ("gaps", "test"), strict=True):
                _draw(axes, results, family, dataset, lines)
                axes.set_title(f"{part}: {_title(results, family, dataset)}", fontsize=9)
            more += absent(results, family, dataset)
        signed_by(figure, results, more)
    return figure


def _draw(axes: Axes, results: Results, family: Family, dataset: str, lines: Sequence[Line]) -> None:
    both = len({line.right for line in lines}) > 1
    other = axes.twinx() if both else axes
    if both:
        other.spines["right"].set_visible(True)
        other.grid(visible=False)
        axes.set_ylabel("nats")
        other.set_ylabel("percent")
    handles = []
    for line in lines:
        points = _points(results, family, dataset, line.quantity)
        on = other if line.right else axes
        handles += _errorbar(on, points, line.colour, line.marker, line.label, 100 if line.right else 1)
    ticks = []
    for strength in STRENGTHS:
        runs = family.runs(results, strength, dataset)
        here = radius(runs[0]) if runs else "–"
        ticks.append(strength if here == f"{strength}/255" else f"{strength}\n(ε {here})")
    axes.set_xticks(range(len(STRENGTHS)), ticks)
    axes.set_xlim(-0.25, len(STRENGTHS) - 0.75)
    axes.set_xlabel("AR strength")
    if handles and both:
        axes.legend(handles=handles, fontsize=7.5)
    if not handles:
        axes.text(0.5, 0.5, "no results", ha="center", transform=axes.transAxes, color=GREY)


def _points(
    results: Results, family: Family, dataset: str, quantity: measures.Quantity
) -> dict[int, tuple[float, float, float]]:
    """Position of a strength -> mean over seeds with the mean of their intervals."""
    found = {}
    for position, strength in enumerate(STRENGTHS):
        runs = family.runs(results, strength, dataset)
        known = [one.interval for run in runs if (one := quantity(results, run.id)) is not None]
        if known:
            mean, low, high = np.mean(known, axis=0)
            found[position] = (float(mean), float(low), float(high))
    return found


def _errorbar(
    axes: Axes,
    points: Mapping[int, Sequence[float]],
    colour: str,
    marker: str,
    label: str,
    factor: float,
) -> list[object]:
    if not points:
        return []
    middle, ends = zip(*((y[0], sorted(y[1:])) for y in points.values()), strict=True)
    value = factor * np.array(middle)
    low, high = factor * np.array(ends).T
    bars = np.clip(np.array([value - low, high - value]), 0, None)
    return [
        axes.errorbar(
            list(points), value, yerr=bars, color=colour, marker=marker, markersize=5, capsize=2, label=label
        )
    ]


def _title(results: Results, family: Family, dataset: str) -> str:
    return f"{results.datasets[dataset].name}, {family.title}\n{network(results, family, dataset)}"


def _row(figure: Figure, count: int) -> Sequence[Axes]:
    row: Sequence[Axes] = figure.subplots(1, count, squeeze=False)[0]
    return row
