"""Whether a model heeds lambda, and what an attacker gains who makes images at another than judges them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustfront.config.evaluations import CLEAN, other_conditions
from robustfront.evaluation.comparisons import refuted
from robustfront.evaluation.statistics import Interval, over_seeds, paired_interval
from robustfront.reporting.claims.judging import signed
from robustfront.reporting.drawing import nothing_to_draw, styled
from robustfront.reporting.rendering import Cell, View
from robustfront.reporting.results import Results
from robustfront.studies.oat.points import WORST, Fallen, Point, points, told_suites

BOTH = 0.975
"""Confidence of each of two differences, of which one suffices (Bonferroni)."""


def gained(first: Fallen, last: Fallen) -> Interval:
    """By how much more images stand in `last` than in `first`, paired by image."""
    pairs = [(first[seed], last[seed]) for seed in sorted(first.keys() & last.keys())]
    both = [pd.concat(pair, axis=1, join="inner").to_numpy(float) for pair in pairs]
    differences = np.array([one[:, 0] - one[:, 1] for one in both])
    over_images = paired_interval(differences.mean(axis=0), -1, 1, BOTH)
    return over_seeds(list(differences.mean(axis=1)), over_images, BOTH)


def verdict(standard: Interval, robust: Interval) -> str:
    """What the differences between both ends of a frontier say of the model."""
    if all(interval.low <= 0 <= interval.high for interval in (standard, robust)):
        return "not conditional"
    if robust.low > 0:
        return "conditional"
    return "conditional, but not more robust"


def ends_table(results: Results) -> tuple[pd.DataFrame, list[View]]:
    """A row per model that is told lambda: what changes from the lowest to the highest of its training."""
    lines: list[dict[str, Any]] = []
    views = []
    for dataset_id, dataset in results.datasets.items():
        rows = []
        for name, found in points(results, dataset_id).items():
            ends = _ends(found)
            if ends is None:
                continue
            first, last = ends
            robust = gained(first.fallen[WORST], last.fallen[WORST])
            standard = gained(first.fallen[CLEAN], last.fallen[CLEAN])
            said = verdict(standard, robust)
            between = f"{first.value:g} to {last.value:g}"
            rows.append([Cell(name), Cell(between), _points(robust), _points(standard), Cell(said)])
            lines.append(
                {"dataset": dataset.name, "family": name, "first": first.value, "last": last.value}
                | dict(zip(("robust", "robust_low", "robust_high"), robust, strict=True))
                | dict(zip(("clean", "clean_low", "clean_high"), standard, strict=True))
                | {"n": first.images(WORST), "verdict": said}
            )
        if rows:
            views.append(
                View(
                    f"Both ends of one model's frontier, in points of accuracy, on {dataset.name}",
                    results.label,
                    2,
                    [("", 2), ("Change from the first λ to the last", 2), ("", 1)],
                    [Cell("Model"), Cell("λ"), Cell("worst case"), Cell("clean"), Cell("Verdict")],
                    rows,
                    [],
                    [
                        "Not conditional: neither accuracy differs between the ends beyond its interval "
                        "(97.5 % each, paired by image). Conditional, but not more robust: what changes is "
                        "no gain of robust accuracy.",
                    ],
                )
            )
    return pd.DataFrame(lines).assign(scale=results.label), views


def _ends(found: Sequence[Point]) -> tuple[Point, Point] | None:
    """The points at the lowest and the highest lambda of training, if all is there of both of some seed."""
    told = [p for p in found if p.family.run and p.seen and {CLEAN, WORST} <= p.fallen.keys()]
    alike = len(told) > 1 and told[0].fallen[WORST].keys() & told[-1].fallen[WORST].keys()
    return (told[0], told[-1]) if alike else None


def _points(interval: Interval) -> Cell:
    mean, low, high = (signed(100 * value) for value in interval)
    return Cell(mean, f"[{low}, {high}]")


# ------------------------------------------------------------------------------------------------- transfers
def transfers_figure(results: Results) -> Figure:
    """Robust accuracy by where images were made and where they are judged, a panel for each model."""
    drawn = []
    for dataset_id, dataset in results.datasets.items():
        for name, found in points(results, dataset_id).items():
            if found[0].family.run and (grid := _grid(results, found)) is not None:
                drawn.append((f"{dataset.name}: {name}", *grid))
    with styled():
        if not drawn:
            return nothing_to_draw(Figure(), "no model is told λ at this scale")
        columns = min(3, len(drawn))
        rows = -(-len(drawn) // columns)
        figure = Figure(figsize=(3.7 * columns, 3.4 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).flatten()
        for place, one in zip(axes, drawn, strict=False):
            _panel(place, *one)
        for place in axes[len(drawn) :]:
            place.set_axis_off()
    return figure


def _grid(results: Results, found: Sequence[Point]) -> tuple[list[float], np.ndarray, np.ndarray] | None:
    """Lambdas, accuracies in percent (made, judged), and where a transfer refutes the attack that knows."""
    suites = told_suites(results)
    attack = next((name for name in suites[found[0].suite].judged_at), None)
    if attack is None:
        return None
    values = [point.value for point in found]
    accuracies = np.full((len(values), len(values)), np.nan)
    worse = np.zeros(accuracies.shape, bool)
    run = found[0].runs[0].id
    for i, made in enumerate(found):
        shown = {
            at: name for name, at in other_conditions(suites[made.suite]).items() if name.startswith(attack)
        }
        for j, judged in enumerate(found):
            name = attack if i == j else shown.get(judged.value, "")
            rate = results.rate(run, made.suite, name) if name else None
            if rate is None:
                continue
            accuracies[i, j] = 100 * (1 - rate.error)
            if i != j:
                compared = results.compare(run, (judged.suite, attack), (made.suite, name))
                worse[i, j] = compared is not None and refuted(compared)
    return (values, accuracies, worse) if np.isfinite(accuracies).any() else None


def _panel(axes: Axes, title: str, values: list[float], accuracies: np.ndarray, worse: np.ndarray) -> None:
    axes.imshow(accuracies, cmap="cividis", vmin=0, vmax=100)
    axes.grid(visible=False)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("judged at λ")
    axes.set_ylabel("attacked at λ")
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(values)), [f"{value:g}" for value in values])
    for (i, j), accuracy in np.ndenumerate(accuracies):
        if np.isfinite(accuracy):
            text = f"{accuracy:.0f}{'×' if worse[i, j] else ''}"
            weight = "bold" if i == j else "normal"
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=8,
                fontweight=weight,
                color="black" if accuracy > 55 else "white",
            )
