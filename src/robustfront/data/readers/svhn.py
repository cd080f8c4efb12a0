"""SVHN cropped digits: MATLAB files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.readers.base import Part, Raw, part_of
from robustfront.errors import DataError


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """`train_32x32.mat` and `test_32x32.mat`. Label 10 there is digit 0."""
    parts = {name: _part(path) for name, path in files.items()}
    return Raw(parts["train_32x32.mat"], parts.get("test_32x32.mat"))


def _part(path: Path) -> Part:
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"]
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DataError(
            f"{path}: no MATLAB file with X and y ({error}); delete it and start again"
        ) from error
    if images.ndim != 4 or labels.shape != (images.shape[3], 1):
        raise DataError(f"{path}: X {images.shape} and y {labels.shape} are not (H, W, C, N) and (N, 1)")
    digits = np.where(labels[:, 0] == 10, 0, labels[:, 0])
    return part_of(images.transpose(3, 2, 0, 1), digits, path)
