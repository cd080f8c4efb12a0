"""Figure 2a: the training framework as a diagram, drawn from the runs of a scale."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from robustfront.config.networks import PreActResNet
from robustfront.config.quantities import length
from robustfront.reporting.drawing import BLACK, GREY, VERMILION, styled
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results

_STEP = r"$x' \leftarrow \Pi\,[x' + \eta\,\mathrm{sign}(%s)]$"
_ATTACK = {
    "npda": _STEP % r"P\,\partial\ell/\partial h \cdot \partial h/\partial x",
    "npgd": _STEP % r"\partial\ell/\partial x",
}
_UPDATE = {
    "npda": "all layers",
    "npgd": "last layer: $W \\leftarrow W_{std} + (W - W_{std})\\,P$\nother layers: as usual",
}
_ATTACK_COLUMN, _UPDATE_COLUMN = 1, 3
_PROJECTS_IN = {"npda": _ATTACK_COLUMN, "npgd": _UPDATE_COLUMN, "trunk": 1}
_ORDER = ("npda", "npgd")
_TEXT: dict[str, Any] = {"fontsize": 9, "linespacing": 1.4}
_HEAD_LABEL, _START_LABEL = "last layer $W_{std}$", "weights to start from"
_PADDING = (0.32, 0.3)
_GAP, _ROW_GAP, _MARGIN = 0.35, 0.5, 0.25
"""Inches: around the text of a box, both sides together; between columns, rows; around the diagram."""


@dataclass(frozen=True)
class _Box:
    """A box of text: centre, width and height in inches; `projects`: the projector acts in it."""

    x: float
    y: float
    width: float
    height: float
    text: str
    projects: bool = False

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    def facing(self, other: "_Box") -> tuple[float, float]:
        """The middle of its upper or lower edge, whichever is nearer to the other box."""
        return self.x, self.y + (self.height / 2 if other.y > self.y else -self.height / 2)


def figure2a(results: Results) -> Figure:
    """Figure 2a: from the standard model over the projector to NPDA, NPGD and their evaluation.

    Names, budgets, radii and suites are those of the study's runs of these methods on its first data set;
    the others have the same. Red arrows and tinted boxes: where the null-space projector P acts. Boxes are as
    large as their texts.
    """
    datasets = results.datasets
    runs = [run for run in results.runs.values() if run.dataset_id == next(iter(datasets))]
    projected = [run for run in runs if run.config.method in _ORDER]
    names = [dataset.name for dataset in datasets.values()]
    places = names[0] if len(names) == 1 else f"each of {', '.join(names)}"
    starts = [run for run in runs if run.id in {run.config.init for run in projected}]
    lanes = {
        method: _lane([run for run in projected if run.config.method == method], method, places)
        for method in _ORDER
        if any(run.config.method == method for run in projected)
    }
    trunk = [
        _standard(starts),
        "projector  $P = I - VV^T$\n$V$: row space of $W_{std}$",
        "",
        "",
        _evaluation(results),
    ]
    with styled():
        boxes, size = _laid_out(trunk, lanes)
        figure = Figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(0, size[1]))
        axes.set_axis_off()
        standard, projector, evaluation = boxes["trunk"]
        _arrow(axes, standard.right, projector.left, colour=VERMILION, label=_HEAD_LABEL)
        for method in lanes:
            begin, attack, _, update = lane = boxes[method]
            _arrow(axes, standard.facing(begin), begin.facing(standard), label=_START_LABEL)
            for box, following in pairwise(lane):
                _arrow(axes, box.right, following.left)
            _arrow(axes, update.right, (evaluation.x, update.y), evaluation.facing(update))
            if _PROJECTS_IN[method] == _ATTACK_COLUMN:
                _arrow(axes, projector.facing(attack), attack.facing(projector), colour=VERMILION)
            else:
                corner = (update.x, projector.y)
                _arrow(axes, projector.right, corner, update.facing(projector), colour=VERMILION)
        for box in (box for row in boxes.values() for box in row):
            _draw(axes, box)
        axes.text(size[0] / 2, 0.1, results.label, ha="center", fontsize=8, color=GREY)
    return figure


def _laid_out(
    trunk: Sequence[str], lanes: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[_Box]], tuple[float, float]]:
    """Row name -> its boxes from left to right, and the size of the diagram in inches.

    The first lane goes above the trunk, the second below. Boxes of lanes are as wide as their column.
    """
    names = [*[*lanes][:1], "trunk", *[*lanes][1:]]
    texts = {name: trunk if name == "trunk" else lanes[name] for name in names}
    sizes = {name: [_size_of(text) for text in row] for name, row in texts.items()}
    widths = [
        max(row[column][0] for row in sizes.values() if column < len(row)) for column in range(len(trunk))
    ]
    gaps = [max(_GAP, _size_of(_HEAD_LABEL)[0]), *[_GAP] * (len(trunk) - 2)]
    left = [_MARGIN + sum(widths[:column]) + sum(gaps[:column]) for column in range(len(trunk))]
    heights = {name: max(height for _, height in row) for name, row in sizes.items()}
    top = size_y = _MARGIN + 0.15 + sum(heights.values()) + _ROW_GAP * (len(names) - 1) + _MARGIN
    boxes: dict[str, list[_Box]] = {}
    top -= _MARGIN
    for name in names:
        boxes[name] = []
        for column, text in enumerate(texts[name]):
            if text:
                x, y = left[column] + widths[column] / 2, top - heights[name] / 2
                width, height = sizes[name][column]
                if name != "trunk":
                    width, height = widths[column], heights[name]
                boxes[name].append(_Box(x, y, width, height, text, column == _PROJECTS_IN[name]))
        top -= heights[name] + _ROW_GAP
    return boxes, (left[-1] + widths[-1] + _MARGIN, size_y)


def _size_of(text: str) -> tuple[float, float]:
    """Width and height in inches of a box around a text; of no text, nothing."""
    if not text:
        return 0.0, 0.0
    figure = Figure(dpi=100)
    drawn = figure.text(0, 0, text, **_TEXT)
    extent = drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return extent.width / figure.dpi + _PADDING[0], extent.height / figure.dpi + _PADDING[1]


def _lane(runs: Sequence[PlannedRun], method: str, places: str) -> list[str]:
    """The texts of one method from left to right: its runs in all `places`, attack, loss and update."""
    config = runs[0].config
    generators = dict.fromkeys(str(run.config.params["generator"]).upper() for run in runs)
    betas = sorted({float(run.config.params["beta"]) for run in runs})
    ascent, radius = config.params["attack"], length(config.params["threat"]["eps"])
    step = length(ascent["step_size"])
    attack = f"attack: {ascent['steps']} steps, η = {step}, ε = {radius}\n{_ATTACK[method]}\n"
    attack += f"$\\ell$ of {', '.join(generators)}"
    spread = f"{betas[0]:g}" if len(betas) == 1 else f"{betas[0]:g} to {betas[-1]:g}"
    update = f"SGD, {config.training.epochs} epochs\n{_UPDATE[method]}"
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''} on {places}"
    loss = f"TRADES loss\nCE(x) + β KL(x, x′)\nβ = {spread}"
    return [f"{method.upper()}\n{count}", attack, loss, update]


def _standard(runs: Sequence[PlannedRun]) -> str:
    if not runs:
        return "standard training"
    config = runs[0].config
    of_all_seeds = dict.fromkeys(name for run in runs for name in run.names)
    names = textwrap.fill(", ".join(of_all_seeds), 32, break_on_hyphens=False)
    network = config.model.arch
    if isinstance(config.model, PreActResNet):
        network = f"PreActResNet-{config.model.depth}, width {config.model.width}"
    return f"standard training\n{names}\n{network}\nSGD, {config.training.epochs} epochs"


def _evaluation(results: Results) -> str:
    suites = [f"{suite.name}:\nclean, {', '.join(suite.attacks)}" for suite in results.suites.values()]
    return "\n".join(["evaluation", *suites])


def _draw(axes: Axes, box: _Box) -> None:
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    patch = FancyBboxPatch(
        corner,
        box.width,
        box.height,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor="#FBE9DD" if box.projects else "white",
        edgecolor=VERMILION if box.projects else BLACK,
        linewidth=1.1,
    )
    axes.add_patch(patch)
    axes.text(box.x, box.y, box.text, ha="center", va="center", **_TEXT)


def _arrow(axes: Axes, *points: tuple[float, float], colour: str = BLACK, label: str = "") -> None:
    """An arrow along straight pieces; the label stands beside the first of them."""
    for start, end in pairwise(points[:-1]):
        axes.plot([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=1.3)
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", points[-1], points[-2], arrowprops=style)
    if label:
        (x, y), (end_x, end_y) = points[:2]
        level = y == end_y
        axes.text(
            (x + end_x) / 2 + (0 if level else 0.08),
            (y + end_y) / 2 + (0.05 if level else 0),
            label,
            fontsize=9,
            color=colour,
            ha="center" if level else "left",
            va="bottom" if level else "center",
        )
