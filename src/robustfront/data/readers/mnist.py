"""MNIST: gzipped IDX files."""

import gzip
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.readers.base import Part, Raw, part_of
from robustfront.errors import DataError


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """`train-*` and `t10k-*`."""

    def part(prefix: str) -> Part:
        images = files[f"{prefix}-images-idx3-ubyte.gz"]
        return part_of(_idx(images, 3)[:, None], _idx(files[f"{prefix}-labels-idx1-ubyte.gz"], 1), images)

    return Raw(part("train"), part("t10k") if "t10k-images-idx3-ubyte.gz" in files else None)


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes: 0, 0, type 8, number of dimensions, sizes (big-endian uint32), data."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); delete it and start again") from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        raise DataError(f"{path}: not an IDX file of unsigned bytes in {dimensions} dimensions")
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    if len(content) != start + prod(shape):
        raise DataError(f"{path}: has {len(content) - start} values, its header says {prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
