"""CIFAR-10, python version: pickled batches, in the archive or unpacked."""

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data import pickles
from robustfront.data.readers.base import Part, Raw, part_of
from robustfront.errors import DataError

ARCHIVE = "cifar-10-python.tar.gz"
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The archive, or its batch files."""
    if ARCHIVE in files:
        parts = _archive(files[ARCHIVE])
    else:
        parts = {name: _batch(str(path), path.read_bytes()) for name, path in files.items()}
    train = [parts[name] for name in TRAIN]
    return Raw(Part(*map(np.concatenate, zip(*train, strict=True))), parts.get(TEST))


def _archive(path: Path) -> dict[str, Part]:
    """The batches in the archive, read in memory: links and folders in it mean nothing."""
    parts = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in (*TRAIN, TEST):
                    with cast(IO[bytes], archive.extractfile(member)) as content:
                        parts[name] = _batch(f"{path}:{member.name}", content.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive ({error}); delete it and start again") from error
    absent = [name for name in TRAIN if name not in parts]
    if absent:
        raise DataError(f"{path}: holds no {', '.join(absent)}; is it the python version of CIFAR-10?")
    return parts


def _batch(name: str, content: bytes) -> Part:
    batch = pickles.load(content, name)
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{name}: holds no 'data' and 'labels'; is it a batch of CIFAR-10?")
    if data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise DataError(f"{name}: data has shape {data.shape}, expected (N, 3072)")
    return part_of(data.reshape(-1, 3, 32, 32), np.array(labels), name)
