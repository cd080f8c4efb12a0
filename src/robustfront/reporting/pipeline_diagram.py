"""NPAT's Figure 2a: the training framework as a diagram, drawn from the runs of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from robustfront.reporting import wording
from robustfront.reporting.drawing import BLACK, GREY, VERMILION, styled
from robustfront.reporting.results import Plan, PlannedRun

_STEP = r"$x' \leftarrow \Pi\,[x' + \eta\,\mathrm{sign}(%s)]$"
_ATTACK = {
    "npda": _STEP % r"P\,\partial\ell/\partial h \cdot \partial h/\partial x",
    "npgd": _STEP % r"\partial\ell/\partial x",
}
_UPDATE = {
    "npda": "all layers",
    "npgd": "last layer: $W \\leftarrow W_{std} + (W - W_{std})\\,P$\nother layers: as usual",
}
_USES_PROJECTOR = {"npda": "attack", "npgd": "update"}
_SIZE = (12.6, 4.7)
_ROWS = {"npda": 3.85, "npgd": 0.95}
_MIDDLE = sum(_ROWS.values()) / 2


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


def npat_figure2a(plan: Plan) -> Figure:
    """S000, Figure 2a: from the standard model over the projector to NPDA, NPGD and their evaluation.

    Names, budgets, radii and suites are those of the plan's runs of these methods on its first data set. Red
    arrows and tinted boxes: where the null-space projector P acts.
    """
    runs = [run for run in plan.runs.values() if run.dataset_id == next(iter(plan.datasets))]
    projected = [run for run in runs if run.config.method in _ROWS]
    starts = [run for run in runs if run.id in {run.config.init for run in projected}]
    standard = _Box(1.3, _MIDDLE, 2.3, 1.0, _standard(starts))
    projector = _Box(
        4.7, _MIDDLE, 2.4, 1.0, "projector  $P = I - VV^T$\n$V$: row space of $W_{std}$", projects=True
    )
    evaluation = _Box(11.5, _MIDDLE, 2.0, 1.55, _evaluation(plan))
    with styled():
        figure = Figure(figsize=_SIZE)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _SIZE[0]), ylim=(0, _SIZE[1]))
        axes.set_axis_off()
        _arrow(axes, standard.right, projector.left, colour=VERMILION, label="last layer $W_{std}$")
        boxes = [standard, projector, evaluation]
        for method in dict.fromkeys(run.config.method for run in projected):
            lane = _lane([run for run in projected if run.config.method == method], method)
            begin, attack, _, update = lane
            _arrow(axes, standard.facing(begin), begin.facing(standard), label="weights to start from")
            for box, following in pairwise(lane):
                _arrow(axes, box.right, following.left)
            _arrow(axes, update.right, (evaluation.x, update.y), evaluation.facing(update))
            if _USES_PROJECTOR[method] == "attack":
                _arrow(axes, projector.facing(attack), attack.facing(projector), colour=VERMILION)
            else:
                _arrow(axes, projector.right, (update.x, _MIDDLE), update.facing(projector), colour=VERMILION)
            boxes += lane
        for box in boxes:
            _draw(axes, box)
        axes.text(_SIZE[0] / 2, 0.1, wording.scale_label(plan.scale), ha="center", fontsize=8, color=GREY)
    return figure


def _lane(runs: Sequence[PlannedRun], method: str) -> tuple[_Box, _Box, _Box, _Box]:
    """The boxes of one method from left to right: its runs, their attack, loss and update."""
    y, config = _ROWS[method], runs[0].config
    generators = dict.fromkeys(str(run.config.params["generator"]).upper() for run in runs)
    betas = sorted({float(run.config.params["beta"]) for run in runs})
    ascent, radius = config.params["attack"], wording.length(config.params["threat"]["eps"])
    step = wording.length(ascent["step_size"])
    attack = f"attack: {ascent['steps']} steps, η = {step}, ε = {radius}\n{_ATTACK[method]}\n"
    attack += f"$\\ell$ of {', '.join(generators)}"
    spread = f"{betas[0]:g}" if len(betas) == 1 else f"{betas[0]:g} to {betas[-1]:g}"
    update = f"SGD, {config.training.epochs} epochs\n{_UPDATE[method]}"
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''} on {config.dataset.name}"
    uses = _USES_PROJECTOR[method]
    return (
        _Box(1.3, y, 1.7, 0.8, f"{method.upper()}\n{count}"),
        _Box(4.7, y, 3.2, 1.1, attack, uses == "attack"),
        _Box(7.4, y, 1.6, 1.0, f"TRADES loss\nCE(x) + β KL(x, x′)\nβ = {spread}"),
        _Box(9.75, y, 2.5, 1.0, update, uses == "update"),
    )


def _standard(runs: Sequence[PlannedRun]) -> str:
    if not runs:
        return "standard training"
    config = runs[0].config
    names = ", ".join(name for run in runs for name in run.names)
    network = f"PreActResNet-{config.model.depth}, width {config.model.width}"
    return f"standard training: {names}\n{network}\nSGD, {config.training.epochs} epochs"


def _evaluation(plan: Plan) -> str:
    suites = [f"{suite.name}:\nclean, {', '.join(suite.attacks)}" for suite in plan.suites.values()]
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
    axes.text(box.x, box.y, box.text, ha="center", va="center", fontsize=9, linespacing=1.4)


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
