"""Figures 1b, 4, 5a, 5b, 10, 11a and 11b: how margins, probabilities and losses are spread over images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from robustfront.reporting.drawing import GREY
from robustfront.reporting.results import Analysed, Results
from robustfront.studies.ar_strength.families import COLOURS, STRENGTHS, Family

BINS = 40
LABELS = {
    "margins": "margin (logits)",
    "probabilities": "probability of the true class",
    "losses": "cross entropy (nats)",
}


def looked_at(results: Results, family: Family, dataset: str) -> dict[str, Analysed]:
    """Strength -> what is known of single images of that network, as far as it is."""
    found = {}
    for strength in STRENGTHS:
        for item in results.analysed("confidence"):
            if family.name(strength) in item.run.names and item.run.dataset_id == dataset:
                found[strength] = item
    return found


def draw(axes: Axes, items: Mapping[str, Analysed], split: str, what: str) -> None:
    """One outline per strength, on one grid of bins for all; densities."""
    values = {strength: item.array(f"{split}.{what}").astype(float) for strength, item in items.items()}
    axes.set_xlabel(LABELS[what])
    if not values:
        axes.text(0.5, 0.5, "no results", ha="center", transform=axes.transAxes, color=GREY)
        return
    bins = _bins(list(values.values()), what)
    for strength, each in values.items():
        inside = np.clip(each, bins[0], bins[-1])  # what lies beyond counts in the outermost bins
        label = f"AR {strength}"
        if what == "margins":
            skewness = items[strength].record.facts[split]["skewness"]
            label += f": std {each.std():.2f}, skew {skewness:+.1f}"
        axes.hist(inside, bins.tolist(), density=True, histtype="step", color=COLOURS[strength], label=label)
    if what == "margins":
        axes.set_ylim(0, 1.35 * axes.get_ylim()[1])  # room for the legend
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    else:
        axes.set_yscale("log")
    axes.set_ylabel("density")
    axes.legend(fontsize=7)


def _bins(values: Sequence[np.ndarray], what: str) -> np.ndarray:
    if what == "probabilities":
        return np.linspace(0, 1, BINS + 1)
    together = np.concatenate(values)
    low, high = np.quantile(together, [0.002, 0.998])
    low = 0.0 if what == "losses" else low
    return np.linspace(low, max(high, low + 1e-6), BINS + 1)
