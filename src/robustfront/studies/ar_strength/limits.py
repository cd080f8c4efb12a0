"""Figure 6, the grid of spectral limits and strengths, and what a limit leaves after kernels are cut."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, nothing_to_draw, styled
from robustfront.reporting.results import Results
from robustfront.studies.ar_strength import measures
from robustfront.studies.ar_strength.families import STRENGTHS, Family, absent, datasets, signed_by

LIMITS = {"none": ("uncontrolled", BLACK), "5": ("SP 5", BLUE), "3": ("SP 3", GREEN), "1": ("SP 1", ORANGE)}
"""In the order of falling capacity."""
PARTS = {
    "error gap (%)": (measures.error_gap, 100.0),
    "GE gap (nats)": (measures.loss_gap, 1.0),
    "training loss (nats)": (measures.train_loss, 1.0),
    "test loss (nats)": (measures.test_loss, 1.0),
}


def family(limit: str) -> Family:
    """The runs under one limit."""
    return Family(f"sn-{limit}", LIMITS[limit][0])


def figure6(results: Results) -> Figure:
    """Figure 6: gaps and losses under each limit of the singular values, against the strength."""
    shown = datasets(results, *map(family, LIMITS))
    with styled():
        figure = Figure(figsize=(3.4 * len(PARTS), 3.2 * max(1, len(shown))), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no run with a spectral limit at this scale")
        grid = figure.subplots(len(shown), len(PARTS), squeeze=False)
        more = ""
        for row, (dataset, _) in zip(grid, shown, strict=True):
            for axes, (title, (quantity, factor)) in zip(row, PARTS.items(), strict=True):
                for limit, (label, colour) in LIMITS.items():
                    x, y = _line(results, family(limit), dataset, quantity)
                    if x:
                        value, low, high = factor * np.array(y).T
                        bars = np.clip([value - low, high - value], 0, None)
                        axes.errorbar(x, value, yerr=bars, color=colour, marker="o", capsize=2, label=label)
                axes.set_title(f"{results.datasets[dataset].name}: {title}", fontsize=9)
                axes.set_xticks(range(len(STRENGTHS)), STRENGTHS)
                axes.set_xlabel("AR strength")
            row[0].legend(fontsize=7.5)
            more += "".join(absent(results, family(limit), dataset) for limit in LIMITS)
        signed_by(figure, results, more)
    return figure


def left_over(results: Results) -> Figure:
    """The largest singular value of any layer at the end of each epoch, before and after it was limited."""
    limits = [limit for limit in LIMITS if limit != "none"]
    shown = datasets(results, *map(family, limits))
    with styled():
        figure = Figure(figsize=(4.2 * len(limits), 3.1 * max(1, len(shown))), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no run with a spectral limit at this scale")
        for row, (dataset, _) in zip(
            figure.subplots(len(shown), len(limits), squeeze=False), shown, strict=True
        ):
            for axes, limit in zip(row, limits, strict=True):
                for strength, dash in zip(STRENGTHS, ("-", "--", ":"), strict=True):
                    for run in family(limit).runs(results, strength, dataset)[:1]:
                        history = results.history(run.id)
                        if history is None or "spectral_norm" not in history:
                            continue
                        for column, colour, when in (
                            ("spectral_norm_before_limit", GREY, "before"),
                            ("spectral_norm", LIMITS[limit][1], "after"),
                        ):
                            label = f"AR {strength}, {when}"
                            axes.plot(history["epoch"], history[column], dash, color=colour, label=label)
                axes.axhline(float(limit), color=BLACK, linewidth=0.8, linestyle="-.")
                axes.set_title(f"{results.datasets[dataset].name}, SP {limit}", fontsize=9)
                axes.set_xlabel("epoch")
                if axes.get_legend_handles_labels()[0]:
                    axes.legend(fontsize=7, ncols=2)
            row[0].set_ylabel("largest singular value of a layer")
        signed_by(figure, results)
    return figure


def _line(
    results: Results, of: Family, dataset: str, quantity: measures.Quantity
) -> tuple[list[int], list[Sequence[float]]]:
    x, y = list[int](), list[Sequence[float]]()
    for position, strength in enumerate(STRENGTHS):
        runs = of.runs(results, strength, dataset)
        known = [one.interval for run in runs if (one := quantity(results, run.id)) is not None]
        if known:
            x.append(position)
            y.append(np.mean(known, axis=0))
    return x, y
