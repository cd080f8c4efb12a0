"""What a training costs: by the clock of the machine, and in passes, which no machine changes.

A pass is a forward pass of one image; a backward pass to the input counts as one more, one to the weights,
too, as another. AWP's steps on weights and the second steps of hybrids, as far as they were made, are in.
"""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustfront.config.identity import restored
from robustfront.methods import methods
from robustfront.reporting.drawing import BLUE, GREY, ORANGE, VERMILION, nothing_to_draw, styled
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results

YARDSTICK = "pgd-at"
WIDE = "white-box-wrn"
COLOURS = {"gat": GREY, "nuat": VERMILION, "nuat2": VERMILION, "nuat_h": ORANGE}
"""Method -> its colour; others are blue."""


@dataclass(frozen=True)
class Cost:
    """Of a run: seconds of its training steps and passes per image and epoch, and of the whole."""

    run: str
    method: str
    epochs: float
    seconds: float
    passes: float
    accuracy: float | None = None
    interval: tuple[float, float] = (0.0, 100.0)

    @property
    def total_seconds(self) -> float:
        return self.epochs * self.seconds

    @property
    def total_passes(self) -> float:
        return self.epochs * self.passes


def two_step_epochs(history: pd.DataFrame) -> float | None:
    """How many epochs' worth of batches had a second step: the paper's subscript; None: no hybrid."""
    if "two_step_share" not in history:
        return None
    return float(history["two_step_share"].sum())


def cost(results: Results, run: PlannedRun, suite: str) -> Cost | None:
    """None while the run is not there. Accuracy is under AutoAttack, in percent, with its 95 % interval."""
    history = results.history(run.id)
    if history is None:
        return None
    trained = history[history["epoch"] > 0]
    kind = methods[run.config.method].method
    params = restored(kind.Params, run.config.params)
    passes = (kind.units(params) or 0) * kind.replays(params)
    if (twice := two_step_epochs(trained)) is not None:
        passes += 2 * twice / len(trained)  # a forward and a backward pass more in those batches
    rate = results.rate(run.id, suite, "autoattack") if suite in results.suites_of(run.id) else None
    return Cost(
        run.names[0],
        run.config.method,
        len(trained),
        float(trained["seconds"].median()),
        passes,
        *(() if rate is None else (100 * (1 - rate.error), (100 * (1 - rate.high), 100 * (1 - rate.low)))),
    )


def costs(results: Results, suite: str) -> list[Cost]:
    """Of the study's runs on its first data set that the suite attacks, first seeds alone."""
    found = []
    for dataset_id in list(results.datasets)[:1]:
        for run in results.runs.values():
            known = [name for name in run.names if results.find(name, dataset_id)]
            asked = suite in results.suites and results.suites[suite].asks_for(run.names)
            if known and asked and run.config.seed == min(results.seeds):
                found.append(cost(results, run, suite))
    return [each for each in found if each is not None]


def figure3b(results: Results) -> Figure:
    """AutoAttack accuracy against seconds and passes of the whole training, for each table's rows."""
    tables = {"Table 1b": WIDE, "Table 1a": "white-box"}
    known = {
        table: [each for each in costs(results, suite) if each.accuracy is not None]
        for table, suite in tables.items()
    }
    shown = {table: found for table, found in known.items() if found}
    with styled():
        if not shown:
            return nothing_to_draw(Figure(), "no attacked runs at this scale")
        figure = Figure(figsize=(10, 3.8 * len(shown) + 0.4), layout="constrained")
        grid = figure.subplots(len(shown), 2, sharey="row", squeeze=False)
        for (left, right), (table, found) in zip(grid, shown.items(), strict=True):
            _scatter(left, found, [each.total_seconds for each in found])
            _scatter(right, found, [each.total_passes for each in found])
            left.set_title(f"rows of {table}", loc="left")
            left.set_xlabel("seconds of training steps, on this machine")
            right.set_xlabel("passes per training image, over all epochs")
            left.set_ylabel("AutoAttack accuracy (%)")
        figure.suptitle(results.label, fontsize=9, color=GREY)
    return figure


def _scatter(axes: Axes, known: list[Cost], at: list[float]) -> None:
    for each, x in zip(known, at, strict=True):
        name, y = each.run.removeprefix("wrn-"), each.accuracy or 0.0
        low, high = each.interval
        colour = COLOURS.get(each.method, BLUE)
        axes.errorbar([x], [y], [[y - low], [high - y]], fmt="o", color=colour, elinewidth=0.9)
        axes.annotate(name, (x, y), (4, 4), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        which("{x:.4g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.margins(0.15)


def per_epoch(results: Results) -> Figure:
    """Seconds and passes of an epoch relative to those of PGD-10 adversarial training."""
    known = costs(results, "white-box") + costs(results, WIDE)
    yardstick = next((each for each in known if each.run == YARDSTICK), None)
    with styled():
        if yardstick is None:
            return nothing_to_draw(Figure(), "no PGD-AT to compare with at this scale")
        figure = Figure(figsize=(8, 0.32 * len(known) + 1.2), layout="constrained")
        axes = figure.subplots()
        for row, each in enumerate(known):
            measured, counted = each.seconds / yardstick.seconds, each.passes / yardstick.passes
            axes.barh(row - 0.2, measured, 0.36, color=BLUE, label="seconds" if row == 0 else None)
            axes.barh(row + 0.2, counted, 0.36, color=ORANGE, label="passes" if row == 0 else None)
            axes.text(measured, row - 0.2, f" {measured:.2f}", va="center", fontsize=7)
            axes.text(counted, row + 0.2, f" {counted:.2f}", va="center", fontsize=7)
        axes.set_yticks(range(len(known)), [f"{each.run} ({each.epochs:.0f} ep)" for each in known])
        axes.invert_yaxis()
        axes.set_xlabel(f"of an epoch, relative to {YARDSTICK}; {results.label}")
        axes.legend(loc="lower right")
    return figure
