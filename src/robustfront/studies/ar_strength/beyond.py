"""What the paper's argument rests on, as a correlation: even singular values, and concentrated margins."""

import numpy as np
from matplotlib.figure import Figure

from robustfront.reporting.drawing import BLUE, GREY, ORANGE, VERMILION, nothing_to_draw, styled
from robustfront.reporting.results import Results
from robustfront.studies.ar_strength import spectra
from robustfront.studies.ar_strength.families import (
    BATCH_NORM,
    FGSM,
    PGD,
    STRENGTHS,
    Family,
    datasets,
    signed_by,
)
from robustfront.studies.ar_strength.measures import margins_of

BEST = Family("best", "PGD-AT, best weights")
DRAWN = ((PGD, BLUE, "o"), (BEST, BLUE, "x"), (FGSM, VERMILION, "s"), (BATCH_NORM, ORANGE, "^"))


def chain(results: Results) -> Figure:
    """Mean STD over layers against the spread of test margins, network by network; correlations by layer."""
    shown = datasets(results, *(family for family, _, _ in DRAWN))
    with styled():
        figure = Figure(figsize=(14, 3.3 * max(1, len(shown))), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no such run at this scale")
        grid = figure.subplots(len(shown), 2 * len(spectra.CONVENTIONS), squeeze=False)
        for row, (dataset, _) in zip(grid, shown, strict=True):
            for position, convention in enumerate(spectra.CONVENTIONS):
                points, single = row[2 * position : 2 * position + 2]
                spreads, stds = [], []
                for family, colour, marker in DRAWN:
                    found = _networks(results, family, dataset, convention)
                    for strength, (spread, std) in found.items():
                        points.plot(std.mean(), spread, marker, color=colour)
                        points.annotate(f" {strength}", (std.mean(), spread), fontsize=7)
                        if family in (PGD, FGSM):
                            spreads.append(spread)
                            stds.append(std)
                    if found:
                        points.plot([], [], marker, color=colour, label=family.title)
                points.set_xlabel("mean STD of singular values over layers")
                points.set_ylabel("std of test margins (logits)")
                points.set_title(
                    f"{results.datasets[dataset].name}, {spectra.CONVENTIONS[convention]}", fontsize=8.5
                )
                if points.get_legend_handles_labels()[0]:
                    points.legend(fontsize=7)
                if len(spreads) > 2:
                    found_by_layer = spectra.correlations(spreads, stds)
                    single.bar(np.arange(1, len(found_by_layer) + 1), found_by_layer, color=BLUE)
                    single.set_title(
                        f"PGD and FGSM, {len(spreads)} networks: mean {found_by_layer.mean():+.2f}",
                        fontsize=8.5,
                    )
                else:
                    single.text(
                        0.5, 0.5, "too few networks", ha="center", transform=single.transAxes, color=GREY
                    )
                single.set_ylim(-1.05, 1.05)
                single.set_xlabel("convolution")
                single.set_ylabel("Spearman's correlation")
        signed_by(figure, results)
    return figure


def _networks(
    results: Results, family: Family, dataset: str, convention: str
) -> dict[str, tuple[float, np.ndarray]]:
    """Strength -> spread of test margins, and the STD of each convolution."""
    found = {}
    for strength in STRENGTHS:
        item = spectra.of_run(results, family.name(strength), dataset)
        margins = margins_of(results, item.run.id, "test") if item is not None else None
        if item is not None and margins is not None:
            found[strength] = float(margins.std()), spectra.stds(item, convention)
    return found
