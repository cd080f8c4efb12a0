"""Which images train, select and test: explicit, reproducible, disjoint.

The images are put into an order; training takes from its front and validation is its end. So, for one seed,
another training size leaves the validation images as they are, and a smaller training set is contained in a
larger one. The order is that of `splits.rule`:

- `stratified`: drawn by the seed so that both parts keep the class proportions of the images they come from.
  Exactly: of the order they are drawn in, every prefix of k has, for each class, its share of k rounded to
  nearest (Sainte-Lague apportionment); validation is its first part, training what follows.
- `random`: drawn by the seed, whatever the classes are.
- `last`: that of the files. Validation is the last so many images.
- `last-per-class`: validation is, of each class, its share of the last ones in the files.
"""

from typing import NamedTuple

import numpy as np

from robustfront.config.images import Splits
from robustfront.errors import ConfigError


class Indices(NamedTuple):
    """Positions int64, ascending, in the training part; `test`: in the test part if `official_test`."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    official_test: bool


def split(splits: Splits, labels: np.ndarray, official_test: np.ndarray | None) -> Indices:
    """Makes the splits from the `labels` (N,) of the official training part and those of the test part.

    If the config asks for a number of test images, they are the last ones of the training part, whatever the
    seed, or are drawn from it by class, as `held_out` says. ConfigError if there are too few images, or no
    test part.
    """
    everything = np.arange(len(labels))
    if splits.test == "official":
        if official_test is None:
            raise ConfigError(
                "splits.test: this data set has no official test part; write how many of the last images "
                "to hold out as test"
            )
        held_out, pool, test, test_labels = 0, everything, np.arange(len(official_test)), official_test
    else:
        held_out = splits.test
        order = everything if splits.held_out == "last" else stratified_order(labels, splits.seed)[::-1]
        kept = max(len(labels) - held_out, 0)
        pool, test = np.sort(order[:kept]), np.sort(order[kept:])
        test_labels = labels[test]
    if len(pool) < splits.validation + (splits.train or 1):
        raise ConfigError(
            f"splits: the official training part has {len(labels)} images, too few for {held_out} "
            f"test + {splits.validation} validation + {splits.train or 'any'} training images"
        )
    rest, validation = np.split(pool[_order(splits, labels[pool])], [len(pool) - splits.validation])
    return Indices(
        train=np.sort(rest[: splits.train]),
        validation=np.sort(validation),
        test=test[subset(test_labels, splits.test_limit or len(test), splits.seed)],
        official_test=splits.test == "official",
    )


def _order(splits: Splits, labels: np.ndarray) -> np.ndarray:
    """The images by the rule: a permutation (N,). Training takes from its front, validation from its end."""
    files = np.arange(len(labels))
    match splits.rule:
        case "stratified":
            return np.roll(stratified_order(labels, splits.seed), -splits.validation)
        case "random":
            return np.roll(_shuffled(len(labels), splits.seed), -splits.validation)
        case "last":
            return files
        case "last-per-class":
            return _stratified(labels, files[::-1])[::-1]


def subset(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` positions of `labels` (N,), all if there are fewer, ascending, each class by its share.

    They depend on labels and seed alone, and a smaller subset is contained in a larger one.
    """
    return np.sort(stratified_order(labels, seed)[:count])


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random permutation (N,) of which every prefix is stratified by class."""
    return _stratified(labels, _shuffled(len(labels), seed))


def _shuffled(count: int, seed: int) -> np.ndarray:
    """A random permutation (count,)."""
    # Raw PCG64 output: unlike numpy's shuffles, its stream never changes between numpy versions (NEP 19).
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def _stratified(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The permutation `order` (N,) rearranged so that every prefix is stratified by class.

    The j-th image (from 0) of a class of n, in that order, has the key (j + 1/2) / n; images are sorted by
    key, ties as they were.
    """
    classes = labels[order]
    counts = np.bincount(classes)
    by_class = np.argsort(classes, kind="stable")
    rank = np.empty(len(labels))
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.argsort((rank + 0.5) / counts[classes], kind="stable")]
