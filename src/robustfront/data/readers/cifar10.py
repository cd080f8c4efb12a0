"""CIFAR-10, python version: pickled batches, in the archive or unpacked."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.cifar import batches
from robustfront.data.readers.base import Part, Raw

ARCHIVE = "cifar-10-python.tar.gz"
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The archive, or its batch files."""
    parts = batches(files, archive=ARCHIVE, train=TRAIN, test=TEST, labels="labels")
    train = [parts[name] for name in TRAIN]
    return Raw(Part(*map(np.concatenate, zip(*train, strict=True))), parts.get(TEST))
