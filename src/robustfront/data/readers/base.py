"""What every reader returns, and what is checked of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.config.registry import resolve
from robustfront.errors import DataError


class Part(NamedTuple):
    """Images uint8 (N, C, H, W) and labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


class Raw(NamedTuple):
    """A data set as its authors split it; `test` is None where they did not, or its files were not given."""

    train: Part
    test: Part | None


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The images of a data set from its files by name, by the function that its source names.

    DataError for images or labels that cannot be stored, whatever that function checked.
    """
    found: Raw = resolve(dataset.read_by, type(dataset))(dataset, files)
    (train, test), where = found, f"dataset {dataset.name}"
    return Raw(part_of(*train, where), None if test is None else part_of(*test, where))


def part_of(images: np.ndarray, labels: np.ndarray, where: str | Path) -> Part:
    """Both, checked: uint8 images (N, C, H, W), integer labels that are not negative, as many of each."""
    if images.dtype != np.uint8:
        raise DataError(f"{where}: images are {images.dtype}; expected uint8 values 0..255")
    if images.ndim != 4:
        raise DataError(f"{where}: images have shape {images.shape}; expected (N, C, H, W)")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels are {labels.dtype} {labels.shape}; expected integers of shape (N,)")
    if len(images) != len(labels) or not images.size:
        raise DataError(f"{where}: {len(images)} images of shape {images.shape[1:]} and {len(labels)} labels")
    for label in (labels.min(), labels.max()):
        if not 0 <= label <= np.iinfo(np.int64).max:
            raise DataError(f"{where}: label {label}; expected 0..K-1")
    return Part(images, labels.astype(np.int64))
