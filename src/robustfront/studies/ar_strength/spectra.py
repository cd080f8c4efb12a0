"""Singular values of the layers of runs, as appendix B.2 compares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robustfront.reporting.results import Analysed, Results

CONVENTIONS: Mapping[str, str] = {
    "circular": "on the grid of pixels (Sedghi et al.)",
    "reshaped": "kernel as one matrix",
}


@dataclass(frozen=True)
class Groups:
    """Convolutions whose STD is larger in the first network than in the last, and the others.

    `falls`, `rises`: by how much, layer by layer, both positive.
    """

    falls: np.ndarray
    rises: np.ndarray

    @property
    def layers(self) -> int:
        return len(self.falls) + len(self.rises)

    @property
    def words(self) -> str:
        """As the paper tells it: counts, sums and means."""
        parts = [
            f"{len(each)} layers {word} (sum {each.sum():.4f}, mean {each.mean() if len(each) else 0:.4f})"
            for each, word in ((self.falls, "fall"), (self.rises, "rise"))
        ]
        return ", ".join(parts)


def of_run(results: Results, name: str, dataset: str) -> Analysed | None:
    """The spectra of the run that the study calls `name`, on that data set."""
    for item in results.analysed("singular-values"):
        if name in item.run.names and item.run.dataset_id == dataset:
            return item
    return None


def stds(item: Analysed, convention: str) -> np.ndarray:
    """Of each convolution, in order."""
    return item.array(f"{convention}.std")[np.array(item.record.facts["convolution"], bool)]


def compared(first: Analysed, last: Analysed, convention: str) -> Groups:
    """B.2's two groups."""
    change = stds(first, convention) - stds(last, convention)
    return Groups(change[change > 0], -change[change <= 0])


def correlations(spread: Sequence[float], by_run: Sequence[np.ndarray]) -> np.ndarray:
    """Of each layer: Spearman's correlation, over runs, of its STD with the runs' `spread`."""
    ranks = _ranks(np.array(spread))
    found = []
    for layer in np.array(by_run).T:
        own = _ranks(layer)
        length = np.sqrt((ranks**2).sum() * (own**2).sum())
        found.append(float((ranks * own).sum() / length) if length else 0.0)
    return np.array(found)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, ties sharing theirs, less their mean."""
    smaller = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks = smaller + (equal - 1) / 2
    return np.asarray(ranks - ranks.mean())
