"""Figures 1, 4, 5, 10 and 11: panels of histograms, layers and curves."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustfront.reporting.drawing import nothing_to_draw, styled
from robustfront.reporting.results import Results
from robustfront.studies.ar_strength import curves, histograms, layers
from robustfront.studies.ar_strength.families import FGSM, PGD, Family, absent, datasets, network, signed_by
from robustfront.studies.ar_strength.spectra import CONVENTIONS

Panel = Callable[[Axes, Results, Family, str], None]


def _histogram(split: str, what: str) -> Panel:
    def draw(axes: Axes, results: Results, family: Family, dataset: str) -> None:
        histograms.draw(axes, histograms.looked_at(results, family, dataset), split, what)
        axes.set_title(f"{split} images", fontsize=9)

    return draw


def _layers(convention: str) -> Panel:
    def draw(axes: Axes, results: Results, family: Family, dataset: str) -> None:
        layers.draw(axes, results, family, dataset, convention)

    return draw


def figure1(results: Results) -> Figure:
    """Figure 1: singular values by layer, test margins, accuracies; the first data set."""
    panels = [*map(_layers, CONVENTIONS), _histogram("test", "margins"), _accuracies]
    return _panels(results, PGD, panels, first=True)


def figure4(results: Results) -> Figure:
    """Figure 4: margins of test and training images."""
    return _panels(results, PGD, [_histogram("test", "margins"), _histogram("train", "margins")])


def figure5(results: Results) -> Figure:
    """Figure 5: probabilities and losses of test images; singular values by layer, both conventions."""
    return _panels(results, PGD, _figure5())


def figure10(results: Results) -> Figure:
    """Figure 10: margins of test and training images of networks trained by single steps."""
    return _panels(results, FGSM, [_histogram("test", "margins"), _histogram("train", "margins")])


def figure11(results: Results) -> Figure:
    """Figure 11: Figure 5 of networks trained by single steps."""
    return _panels(results, FGSM, _figure5())


def _figure5() -> list[Panel]:
    return [
        _histogram("test", "probabilities"),
        _histogram("test", "losses"),
        *map(_layers, CONVENTIONS),
    ]


def _accuracies(axes: Axes, results: Results, family: Family, dataset: str) -> None:
    curves.accuracies(axes, results, family, dataset)
    axes.set_title("test images", fontsize=9)


def _panels(results: Results, family: Family, panels: Sequence[Panel], *, first: bool = False) -> Figure:
    """A row of panels per data set."""
    shown = datasets(results, family)[: 1 if first else None]
    with styled():
        figure = Figure(figsize=(3.5 * len(panels), 3.1 * max(1, len(shown)) + 0.5), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no such run at this scale")
        more, titles = "", []
        for row, (dataset, _) in zip(
            figure.subplots(len(shown), len(panels), squeeze=False), shown, strict=True
        ):
            for axes, panel in zip(row, panels, strict=True):
                panel(axes, results, family, dataset)
            titles.append(f"{results.datasets[dataset].name}: {network(results, family, dataset)}")
            more += absent(results, family, dataset)
        figure.suptitle(f"{family.title}; {'; '.join(titles)}", fontsize=10)
        signed_by(figure, results, more)
    return figure
