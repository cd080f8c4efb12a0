"""Figure 2: gradients as points, accuracies, and the conflict against the radius with the theorem's bound."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLUE, GREEN, GREY, VERMILION, lacking, nothing_to_draw, styled
from robustfront.reporting.results import Analysed, Results

KIND = "linear-conflict"


def _found(results: Results) -> list[Analysed]:
    return sorted(results.analysed(KIND), key=lambda item: float(item.record.facts["delta"]))


def _none(results: Results) -> Figure:
    return nothing_to_draw(Figure(), f"no analysis at this scale{lacking(results.not_analysed(KIND))}")


def figure2a(results: Results) -> Figure:
    """Figure 2a: t-SNE of the clean and the adversarial gradients of test images, a panel per radius."""
    found = _found(results)
    with styled():
        if not found:
            return _none(results)
        columns = 3
        rows = -(-len(found) // columns)
        figure = Figure(figsize=(3.4 * columns, 3.1 * rows + 0.6), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, item in zip(grid.flat, found, strict=False):
            clean, adversarial = item.array("embedding")
            axes.scatter(*clean.T, s=5, color=BLUE, alpha=0.5, label="g$_c$", edgecolors="none")
            axes.scatter(*adversarial.T, s=5, color=VERMILION, alpha=0.5, label="g$_a$", edgecolors="none")
            facts = item.record.facts
            axes.set_title(f"δ = {facts['delta']:g}: nearest of its kind {100 * facts['separation']:.0f} %")
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in list(grid.flat)[len(found) :]:
            axes.set_visible(False)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, markerscale=3)
        figure.suptitle(f"{found[0].dataset}; {results.label}", fontsize=9)
    return figure


def figure2b(results: Results) -> Figure:
    """Figure 2b: accuracies, mu with its bound, and what mu is made of, against the radius."""
    found = _found(results)
    with styled():
        if not found:
            return _none(results)
        figure = Figure(figsize=(11.5, 6.6), layout="constrained")
        (accuracy, conflict), (norms, angle) = figure.subplots(2, 2)
        deltas = np.array([float(item.record.facts["delta"]) for item in found])
        _accuracies(accuracy, found, deltas)
        _conflict(conflict, found, deltas)
        for axes, names in (
            (norms, {"clean_norm": ("|g$_c$|", BLUE), "adversarial_norm": ("|g$_a$|", VERMILION)}),
            (angle, {"cosine": ("1 − cos", GREEN)}),
        ):
            for name, (label, colour) in names.items():
                values = _means(found, name)
                axes.plot(deltas, 1 - values if name == "cosine" else values, "o-", color=colour, label=label)
            axes.set_xlabel("δ")
            axes.legend()
        norms.set_title("means over test images")
        figure.suptitle(f"{found[0].dataset}; {results.label}", fontsize=9)
    return figure


def _means(found: list[Analysed], name: str) -> np.ndarray:
    return np.array([item.record.facts["mean"][name] for item in found])


def _accuracies(axes: Axes, found: list[Analysed], deltas: np.ndarray) -> None:
    kinds = {
        "clean_accuracy": ("standard", BLUE),
        "adversarial_accuracy": ("at the worst x′ of Eq. 3", VERMILION),
    }
    for offset, (name, (label, colour)) in zip((-0.009, 0.009), kinds.items(), strict=True):
        values = [100 * item.record.facts[name] for item in found]
        bars = axes.bar(deltas + offset, values, 0.016, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", fontsize=7)
    axes.set_ylim(0, 130)
    axes.set_yticks(range(0, 101, 20))
    axes.set_xticks(deltas)
    axes.set_xlabel("δ")
    axes.set_ylabel("accuracy on test images (%)")
    axes.legend(fontsize=8, loc="upper left", ncols=2)
    axes.grid(visible=False, axis="x")


def _conflict(axes: Axes, found: list[Analysed], deltas: np.ndarray) -> None:
    mu, bound = _means(found, "conflict"), _means(found, "bound")
    whole = np.array([item.record.facts["of_mean_gradient"]["conflict"] for item in found])
    dimension = found[0].record.facts["dimension"]
    axes.plot(deltas, mu, "o-", color=BLUE, label=f"μ of an image, mean: slope {slope(deltas, mu):.2f}")
    axes.plot(
        deltas, whole, "s--", color=GREEN, label=f"μ of the mean gradient: slope {slope(deltas, whole):.2f}"
    )
    axes.plot(deltas, bound, "-", color=VERMILION, label="½ λ$_{max}$ d δ², mean")
    axes.plot(deltas, dimension * bound, ":", color=GREY, label="with d² as printed")
    over = [100 * float((item.array("conflict") > item.array("bound")).mean()) for item in found]
    axes.set_title(f"above its bound: {min(over):.1f} to {max(over):.1f} % of images", fontsize=9)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(deltas, [f"{delta:g}" for delta in deltas])
    axes.minorticks_off()
    axes.set_xlabel("δ (slopes are of log μ against log δ)")
    axes.set_ylabel("conflict μ")
    axes.legend(fontsize=8, loc="lower right")


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of the line that fits log y against log x best; NaN for fewer than two points."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else float("nan")
