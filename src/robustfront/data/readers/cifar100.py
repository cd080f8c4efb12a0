"""CIFAR-100, python version, with its 100 fine classes: two pickled batches, in the archive or unpacked."""

from collections.abc import Mapping
from pathlib import Path

from robustfront.config.datasets import Dataset
from robustfront.data.cifar import batches
from robustfront.data.readers.base import Raw

ARCHIVE, TRAIN, TEST = "cifar-100-python.tar.gz", "train", "test"


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The archive, or its files `train` and `test`."""
    parts = batches(files, archive=ARCHIVE, train=[TRAIN], test=TEST, labels="fine_labels")
    return Raw(parts[TRAIN], parts.get(TEST))
