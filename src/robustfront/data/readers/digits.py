"""The 8x8 digits inside scikit-learn."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.readers.base import Raw, part_of


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """All 1797, grey values 0..16 scaled to 0..255. No official test part."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Raw(
        part_of(np.rint(digits.images * 255 / 16).astype(np.uint8)[:, None], digits.target, "digits"), None
    )
