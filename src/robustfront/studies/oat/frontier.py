"""The SA-RA frontier: its numbers, the worst-case attacker's first, and the figure."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustfront.config.evaluations import CLEAN
from robustfront.evaluation.statistics import Interval
from robustfront.reporting import wording
from robustfront.reporting.doubts import masking_verdict, refutation
from robustfront.reporting.drawing import GREY, nothing_to_draw, styled
from robustfront.reporting.panels import look
from robustfront.reporting.rendering import MISSING, Cell, View
from robustfront.reporting.results import Results
from robustfront.studies.oat.points import TRANSFER, WORST, Point, points, told_suites

UNSEEN = "*"


def frontier_table(results: Results) -> tuple[pd.DataFrame, list[View]]:
    """A row per model and lambda: accuracy clean and under each attacker, with 95 % intervals."""
    lines: list[dict[str, Any]] = []
    views = []
    for dataset_id, dataset in results.datasets.items():
        found = [point for family in points(results, dataset_id).values() for point in family]
        columns = _columns(results)
        rows = []
        for point in found:
            rows.append([Cell(point.family.name), Cell(_value(point))])
            for attack in columns:
                interval, mark, refuted = point.accuracy(attack), "", ""
                if interval is not None:
                    mark, refuted = _doubts(results, point, attack)
                rows[-1].append(_cell(interval, mark))
                lines.append(
                    {
                        "dataset": dataset.name,
                        "family": point.family.name,
                        "run": ", ".join(name for run in point.runs[:1] for name in run.names),
                        "parameter": point.parameter,
                        "value": point.value,
                        "seen": point.seen,
                        "attack": attack,
                        **_numbers(interval),
                        "n": point.images(attack),
                        "seeds": len(point.runs),
                        "refuted": refuted,
                    }
                )
        starts = [i for i in range(1, len(found)) if found[i].family != found[i - 1].family]
        headings = [Cell(text, _n(found, attack)) for attack, text in columns.items()]
        views.append(
            View(
                f"SA-RA frontiers: accuracies in percent (higher is better), reproduced on {dataset.name}",
                results.label,
                2,
                [("", 2), ("", 1), ("Robust accuracy", len(columns) - 1)],
                [Cell("Model"), Cell("λ or β"), *headings],
                rows,
                starts,
                _notes(results, dataset_id),
            )
        )
    return pd.DataFrame(lines).assign(scale=results.label), views


def _columns(results: Results) -> dict[str, str]:
    """Attack -> its heading: the strongest attacker first."""
    suites = told_suites(results)
    attacks = list(next(iter(suites.values())).attacks) if suites else []
    named = {attack: attack for attack in reversed(attacks)}
    return {CLEAN: "clean", WORST: "worst case", **named, TRANSFER: "transfers"}


def _value(point: Point) -> str:
    return f"{point.parameter} = {point.value:g}{'' if point.seen else UNSEEN}"


def _cell(interval: Interval | None, mark: str) -> Cell:
    if interval is None:
        return Cell(MISSING)
    mean, low, high = (100 * value for value in interval)
    return Cell(f"{mean:.2f}", f"[{low:.1f}, {high:.1f}]", mark)


def _numbers(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"accuracy": None, "low": None, "high": None}
    return {"accuracy": interval.mean, "low": interval.low, "high": interval.high}


def _doubts(results: Results, point: Point, attack: str) -> tuple[str, str]:
    """Marks, and which other attack refutes the number."""
    if attack == CLEAN:
        return "", ""
    runs = [run.id for run in point.runs]
    failed = masking_verdict(results, runs, point.suite) == "failed"
    refuted = "" if attack in (WORST, TRANSFER) else refutation(results, runs, point.suite, attack)
    return (wording.FAILED if failed else "") + (wording.REFUTED if refuted else ""), refuted


def _n(found: Sequence[Point], attack: str) -> str:
    counts = sorted({point.images(attack) for point in found} - {0})
    return f"(n = {'–'.join(str(n) for n in dict.fromkeys([counts[0], counts[-1]]))})" if counts else ""


def _notes(results: Results, dataset_id: str) -> list[str]:
    suite = next(iter(told_suites(results).values()))
    threat = wording.threat(suite.threat, results.datasets[dataset_id].normalisation)
    return [
        f"{threat}. [low, high]: 95 %, Wilson over images, or Student over seeds where that is wider.",
        "Worst case: an image stands if it stands under every attack that knows λ and under whatever was "
        "made of it at any other λ, of which models that are told nothing have none. Transfers: the latter "
        "alone, by every attack whose images are judged at other λ.",
        f"{UNSEEN}: the model was not trained at this λ.",
        f"{wording.FAILED}: a gradient-masking check failed. {wording.REFUTED}: another attack in the same "
        f"ball fells over 5 points more of the same images, more than luck explains. {MISSING}: not there.",
        "TRADES has no λ: its weight β stands for 1/λ of S002's Eq. 2.",
    ]


def frontier_figure(results: Results) -> Figure:
    """Clean against robust accuracy: under all attackers, and under the attack of training with λ known."""
    suites = told_suites(results)
    if not suites:
        return nothing_to_draw(Figure(), "no suite tells a λ at this scale")
    first = next(iter(next(iter(suites.values())).attacks))
    panels = {WORST: "worst case over attackers", first: f"{first}, λ known"}
    with styled():
        datasets = results.datasets
        figure = Figure(figsize=(10.5, 3.6 * len(datasets) + 1.1), layout="constrained")
        grid = figure.subplots(len(datasets), len(panels), squeeze=False)
        drawn: dict[str, Line2D] = {}
        for row, (dataset_id, dataset) in zip(grid, datasets.items(), strict=True):
            found = points(results, dataset_id)
            for axes, (attack, title) in zip(row, panels.items(), strict=True):
                axes.set_title(f"{dataset.name}: {title}")
                axes.set_xlabel("clean accuracy, SA (%)")
                axes.set_ylabel("robust accuracy, RA (%)")
                for of_family in found.values():
                    if _curve(axes, of_family, attack):
                        family = of_family[0].family
                        drawn[family.name] = _handle(family.name, family.colour, family.marker)
                axes.margins(0.1)
        handles = [*drawn.values(), _handle("λ not trained at", GREY, "o", hollow=True)]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _handle(label: str, colour: str, marker: str, *, hollow: bool = False) -> Line2D:
    return Line2D([], [], label=label, **look(colour, marker, hollow=hollow))


def _curve(axes: Axes, of_family: Sequence[Point], attack: str) -> int:
    """Draws the points of a family that have both numbers, joined by rising lambda; returns how many."""
    known = []
    for point in of_family:
        clean, robust = point.accuracy(CLEAN), point.accuracy(attack)
        if clean is not None and robust is not None:
            known.append((point, clean, robust))
    if not known:
        return 0
    family = of_family[0].family
    xs = [100 * clean.mean for _, clean, _ in known]
    ys = [100 * robust.mean for _, _, robust in known]
    axes.plot(xs, ys, "-", color=family.colour, linewidth=1.1, alpha=0.7)
    for (point, clean, robust), x, y in zip(known, xs, ys, strict=True):
        axes.errorbar(
            x,
            y,
            xerr=_bars(clean),
            yerr=_bars(robust),
            fmt="none",
            ecolor=family.colour,
            elinewidth=0.8,
            alpha=0.45,
        )
        axes.plot(x, y, **look(family.colour, family.marker, hollow=not point.seen))
        axes.annotate(
            f"{point.value:g}",
            (x, y),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=6.5,
            color=family.colour,
        )
    return len(known)


def _bars(interval: Interval) -> list[list[float]]:
    return [[100 * (interval.mean - interval.low)], [100 * (interval.high - interval.mean)]]
