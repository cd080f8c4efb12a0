"""Figures 1 and 6 to 11: bars of Table 1, fronts, and accuracy against the radius."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from robustfront.reporting.cells import measured
from robustfront.reporting.columns import Column
from robustfront.reporting.drawing import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, nothing_to_draw, styled
from robustfront.reporting.fronts import Family, front, marked
from robustfront.reporting.results import Results
from robustfront.reporting.tables import PUBLISHED, Table, reproduce
from robustfront.studies.ca_at import tables

LAMBDAS, GAMMAS = ("0", "0.25", "0.5", "0.75", "1"), ("0.7", "0.75", "0.8", "0.85", "0.9", "1")

COMPARED = {"vanilla-0.5": ("Vanilla AT, λ = 0.5", BLUE), "ca-0.8": ("CA-AT, γ = 0.8", VERMILION)}
"""Run -> what Figures 1 and 8 call it, and its colour."""

RADII = ("", "-x2", "-x3", "-x4")
"""Suffix of the suites of each radius in linf."""


def families(stem: str, colours: tuple[str, str], note: str = "") -> list[Family]:
    """Vanilla-AT and CA-AT of a loss on a network, whose runs are called `vanilla<stem>-0.5` and so on."""
    return [
        Family(f"{name}{note}", colour, marked(f"{method}{stem}-{value}" for value in values))
        for (method, name, values), colour in zip(
            (("vanilla", "Vanilla AT", LAMBDAS), ("ca", "CA-AT", GAMMAS)), colours, strict=True
        )
    ]


def of_loss(results: Results, name: str, stem: str, attack: str) -> Figure:
    """The fronts of a loss on a network, as `tables.front` has their points: Figures 6b to 11."""
    table = reproduce(tables.front(name, name), results)
    return front(table, families(stem, (BLUE, VERMILION)), attack=attack, pareto=True)


def figure6a(results: Results, attack: str) -> Figure:
    """The fronts of cross entropy on ResNet18, as printed and with running statistics."""
    parts = [reproduce(tables.front(name, name), results) for name in ("front-ce", "front-ce-tracked")]
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    shown = families("", (BLUE, VERMILION)) + families("-tracked", (SKY, ORANGE), ", running statistics")
    return front(Table(parts[0].spec, frame), shown, attack=attack, pareto=True)


def figure1(results: Results) -> Figure:
    """Figure 1: clean and robust accuracy of both methods as bars, in print and under both suites."""
    frame = reproduce(tables.TABLE1["8"], results).frame
    shown = frame[frame["run"].isin(COMPARED) & frame["column"].isin(["clean", "pgd", "autopgd"])]
    sources = list(frame["source"].unique())
    with styled():
        figure = Figure(figsize=(3.4 * max(len(sources), 1), 3.2), layout="constrained")
        if shown.empty:
            return nothing_to_draw(figure, "no rows at this scale")
        for axes, source in zip(
            figure.subplots(1, len(sources), sharey=True, squeeze=False)[0], sources, strict=True
        ):
            _bars(axes, shown[shown["source"] == source])
            axes.set_title("published" if source == PUBLISHED else f"reproduced: {source}")
        figure.axes[0].set_ylabel("accuracy")
        figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _bars(axes: Axes, lines: pd.DataFrame) -> None:
    columns = list(lines["column"].unique())
    for offset, (run, (name, colour)) in zip((-0.2, 0.2), COMPARED.items(), strict=True):
        own = lines[lines["run"] == run].set_index("column").reindex(columns)
        low, high = own["value"] - own["low"], own["high"] - own["value"]
        errors = None if low.isna().all() else np.nan_to_num(np.array([low, high]))
        places = np.arange(len(columns)) + offset
        axes.bar(
            places, own["value"], 0.38, yerr=errors, color=colour, label=name, error_kw={"elinewidth": 1}
        )
    axes.set_xticks(np.arange(len(columns)), [tables.NAMES.get(column, "clean") for column in columns])
    axes.set_ylim(0, 1.05)
    axes.grid(visible=False, axis="x")


# ------------------------------------------------------------------------------- accuracy against the radius
TRAINED: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "ResNet18": (("", "0.5", "0.8"), ("d12", "", ""), ("d16", "", ""), ("wide", "", "")),
    "ResNet34": (("r34", "0.5", "0.8"), ("r34-d12", "", ""), ("r34-d16", "", "")),
}
"""Network -> (middle part, value of Vanilla-AT, value of CA-AT) of the names of its runs."""

LOOKS = {"vanilla": ("Vanilla AT", (SKY, BLUE, GREY)), "ca": ("CA-AT", (ORANGE, VERMILION, GREEN))}
"""Method -> what it is called, and the colours of its training radii, in rising order."""


def figure8(results: Results) -> Figure:
    """Figure 8: accuracy against the radius of the attack, for models trained within several radii.

    A panel for each network, attack and kind of suite. Radii as in the suites of the scale.
    """
    attacks = {"fgsm": "FGSM", "pgd": "PGD", "autopgd": "AutoPGD"}
    kinds = [kind for kind in (tables.FAITHFUL, tables.CORRECTED) if kind in results.suites]
    networks = {name: parts for name, parts in TRAINED.items() if _curves(results, parts)}
    with styled():
        if not (kinds and networks):
            return nothing_to_draw(Figure(), "no such runs at this scale")
        figure = Figure(
            figsize=(3.3 * len(attacks), 2.7 * len(kinds) * len(networks) + 0.7), layout="constrained"
        )
        grid = figure.subplots(len(kinds) * len(networks), len(attacks), sharey=True, squeeze=False)
        rows = [(network, kind) for network in networks for kind in kinds]
        for axes_row, (network, kind) in zip(grid, rows, strict=True):
            for axes, (attack, name) in zip(axes_row, attacks.items(), strict=True):
                for run, label, colour in _curves(results, networks[network]):
                    _curve(axes, results, run, kind, attack, label, colour)
                axes.set_title(f"{name}, {kind}, {network}")
                axes.set_xlabel("ε of the attack, ×255")
                axes.set_ylim(0, 1.03)
            axes_row[0].set_ylabel("accuracy")
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
        figure.suptitle(results.label, fontsize=9)
    return figure


def _curves(results: Results, parts: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str, str]]:
    """(run, label, colour) of what the scale has, by method and rising training radius."""
    found = []
    for method, (name, colours) in LOOKS.items():
        runs = []
        for middle, of_vanilla, of_ca in parts:
            value = of_vanilla if method == "vanilla" else of_ca
            run = "-".join(filter(None, (method, middle, value)))
            runs += [(run, planned) for key in results.datasets for planned in results.find(run, key)[:1]]
        radii = [(planned.config.params["threat"]["eps"], run) for run, planned in runs]
        for (eps, run), colour in zip(sorted(radii), colours, strict=False):
            found.append((run, f"{name}, trained within δ = {255 * eps:.3g}/255", colour))
    return found


def _curve(axes: Axes, results: Results, run: str, kind: str, attack: str, label: str, colour: str) -> None:
    points = []
    for suffix in RADII:
        suite = f"{kind}{suffix}"
        if suite in results.suites:
            column = Column(attack, attack, attack, "accuracy", "fraction")
            runs = [one for key in results.datasets for one in results.find(run, key)]
            cell = measured(runs, suite, attack, column, results)
            if cell.seeds:
                points.append((255 * results.suites[suite].threat.eps, cell.summary()))
    if not points:
        return
    x, y = [x for x, _ in points], [one["value"] for _, one in points]
    bars = np.array([[one["value"] - one["low"], one["high"] - one["value"]] for _, one in points]).T
    axes.errorbar(
        x, y, bars, color=colour, marker="o", markersize=4, linewidth=1.3, elinewidth=0.8, label=label
    )


# ------------------------------------------------------------------------------------ which Square was meant
PRINTED_SQUARE = "table4"


def squares(results: Results) -> Figure:
    """The accuracy of the standard model under Square, by radius and queries, and what is printed of it."""
    table = results.published(PRINTED_SQUARE)
    printed = table[(table["run"] == "vanilla-0") & (table["attack"] == "Square")]["value"]
    with styled():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        found = []
        axes = figure.subplots()
        for suite, colour in zip(tables.SQUARES, (VERMILION, BLUE, GREEN), strict=True):
            if suite in results.suites:
                found += _of_square(axes, results, suite, colour)
        if not found:
            return nothing_to_draw(figure, "no model was attacked by Square at this scale")
        target = float(printed.iloc[0])
        axes.axhline(target, color=GREY, linestyle="--", linewidth=1, label=f"Table 4 prints {target:.3f}")
        value, setting = min(found, key=lambda one: abs(one[0] - target))
        axes.set_title(f"closest to it: {setting} with {value:.3f}\n{results.label}")
        axes.set_xscale("log")
        axes.set_xlabel("queries")
        axes.set_ylabel("accuracy of standard training (λ = 0)")
        axes.set_ylim(0, 1.03)
        axes.legend(fontsize=8)
    return figure


def _of_square(axes: Axes, results: Results, suite: str, colour: str) -> list[tuple[float, str]]:
    """Draws the accuracies of a suite; returns them with their settings in words."""
    points = []
    attacks, eps = results.suites[suite].attacks, 255 * results.suites[suite].threat.eps
    for attack, settings in attacks.items():
        column = Column(attack, attack, attack, "accuracy", "fraction")
        runs = [run for key in results.datasets for run in results.find("vanilla-0", key)]
        cell = measured(runs, suite, attack, column, results)
        if cell.seeds:
            points.append((settings.model_dump()["queries"], cell.summary()))
    points.sort(key=lambda point: point[0])
    if points:
        bars = np.array([[one["value"] - one["low"], one["high"] - one["value"]] for _, one in points]).T
        x, y = [x for x, _ in points], [one["value"] for _, one in points]
        axes.errorbar(
            x, y, bars, color=colour, marker="o", markersize=4, linewidth=1.2, label=f"ε = {eps:.3g}/255"
        )
    return [(one["value"], f"ε = {eps:.3g}/255, {x} queries") for x, one in points]
