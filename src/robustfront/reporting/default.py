"""The report of a study that brings none: its runs under its attacks as a table, and drawn.

Works for whatever a study has: one run or many, several data sets and seeds, suites without any attack.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from robustfront.config.evaluations import views
from robustfront.evaluation.comparisons import strongest_first
from robustfront.reporting import fronts
from robustfront.reporting.columns import Column
from robustfront.reporting.drawing import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, nothing_to_draw
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.published import Row
from robustfront.reporting.results import Results
from robustfront.reporting.sections import FigureSection, Section, TableSection
from robustfront.reporting.tables import Table, TableSpec, reproduce

COLOURS = (BLUE, VERMILION, GREEN, ORANGE, SKY)
"""Of as many methods; all others share grey."""
STRONGEST = "strongest"


def table(results: Results) -> Table:
    """Every named run of the study under every attack of its suites."""
    named = {name: run for run in results.runs.values() for name in run.names}
    rows = [
        Row(name, name, {"name": name, "method": run.config.method, "start": _start(results, run)})
        for name, run in named.items()
    ]
    shown = dict.fromkeys(attack for suite in results.suites.values() for attack in views(suite))
    spec = TableSpec(
        "Runs under attack",
        {"name": "Run", "method": "Method", "start": "Starts from"},
        [Column(attack, attack, attack) for attack in shown],
        rows=rows,
        notes=("Compare a run with those that start from the same model.",),
    )
    return reproduce(spec, results)


def front(results: Results) -> Figure:
    """Clean accuracy against accuracy under the strongest attack of each suite, a colour for each method."""
    found = table(results)
    attacks = {name: next(iter(strongest_first(suite)), None) for name, suite in results.suites.items()}
    if not any(attacks.values()):
        return nothing_to_draw(Figure(), "no suite of this study has an attack")
    frame = found.frame[[attacks[suite] is not None for suite in found.frame["suite"]]]
    strong = frame["attack"] == frame["suite"].map(attacks)
    frame = frame.assign(column=frame["column"].mask(strong, STRONGEST))
    methods = {name: list(part["run"].unique()) for name, part in frame.groupby("method", sort=False)}
    families = [
        fronts.Family(str(method), colour, fronts.marked(runs))
        for (method, runs), colour in zip(methods.items(), COLOURS, strict=False)
    ]
    others = [run for runs in list(methods.values())[len(COLOURS) :] for run in runs]
    families += [fronts.Family("other methods", GREY, fronts.marked(others))] if others else []
    return fronts.front(Table(found.spec, frame), families, attack=STRONGEST)


def _start(results: Results, run: PlannedRun) -> str:
    parent = results.runs.get(run.config.init or "")
    return (" = ".join(parent.names) or parent.id) if parent else "scratch"


SECTIONS: Sequence[Section] = (
    TableSection("runs", "Runs under attack", table),
    FigureSection(
        "front",
        "Accuracy against robustness",
        front,
        text="Under the strongest attack of each suite: AutoAttack, else the one of most steps. Up and right "
        "is better. Colour: the method; hollow: a gradient-masking check failed; crossed: another attack in "
        "the same ball refutes the number; bars: 95 % intervals.",
        alt="Scatter plots of clean accuracy against accuracy under the strongest attack, a panel for each "
        "data set and suite, a point per run. The numbers are those of the table above.",
    ),
)
