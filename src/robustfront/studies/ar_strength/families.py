"""Which runs are one network at growing strength, and how strengths look in figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLUE, GREEN, GREY, VERMILION
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results

STRENGTHS = ("4", "8", "16")
COLOURS = {"4": BLUE, "8": GREEN, "16": VERMILION}


@dataclass(frozen=True)
class Family:
    """Runs called `<prefix>-<strength>`."""

    prefix: str
    title: str

    def name(self, strength: str) -> str:
        return f"{self.prefix}-{strength}"

    def runs(self, results: Results, strength: str, dataset: str) -> Sequence[PlannedRun]:
        """One for each seed."""
        return results.find(self.name(strength), dataset)


PGD = Family("pgd", "PGD-AT")
DEEP = Family("deep-pgd", "PGD-AT")
FGSM = Family("fgsm", "FGSM-AT")
TINY = Family("tiny-pgd", "PGD-AT")
BATCH_NORM = Family("bn-fgsm", "FGSM-AT, batch norm")


def datasets(results: Results, *families: Family) -> list[tuple[str, Family]]:
    """Each data set on which one of the families was to be run, with the first that was."""
    found = []
    for dataset in results.datasets:
        for family in families:
            if any(family.runs(results, strength, dataset) for strength in STRENGTHS):
                found.append((dataset, family))
                break
    return found


def network(results: Results, family: Family, dataset: str) -> str:
    """`ResNet-56 without batch norm`, whatever it is at this scale."""
    runs = [run for strength in STRENGTHS for run in family.runs(results, strength, dataset)]
    if not runs:
        return ""
    model = runs[0].config.model
    if model.arch != "fixup_resnet":
        return str(model.arch)
    norm = "with" if getattr(model, "norm", "") == "batch" else "without"
    return f"ResNet-{getattr(model, 'depth', '?')} {norm} batch norm"


def radius(run: PlannedRun) -> str:
    """ε of the run's training attack: `8/255`, or a decimal where it is no whole part of 255."""
    eps = float(run.config.params["threat"]["eps"])
    parts = eps * 255
    return f"{round(parts)}/255" if abs(parts - round(parts)) < 1e-6 else f"{eps:.3g}"


def absent(results: Results, family: Family, dataset: str) -> str:
    """Which of its runs have no result, and why: `; pgd-16: diverged`."""
    said = []
    for strength in STRENGTHS:
        for run in family.runs(results, strength, dataset):
            state = results.state(run.id)
            if state != "trained":
                said.append(f"{family.name(strength)}, seed {run.config.seed}: {state}")
    return f"; {', '.join(said)}" if said else ""


def signed_by(figure: Figure, results: Results, more: str = "") -> None:
    """What scale the figure is of, below it."""
    figure.supxlabel(f"{results.label}{more}", fontsize=8, color=GREY)
