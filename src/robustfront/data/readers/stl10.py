"""STL-10, binary version: bytes without a header, in the archive or unpacked."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.readers.base import Part, Raw, part_of
from robustfront.data.tarballs import members
from robustfront.errors import DataError

ARCHIVE = "stl10_binary.tar.gz"
SHAPE = (3, 96, 96)
TRAIN, TEST = ("train_X.bin", "train_y.bin"), ("test_X.bin", "test_y.bin")


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The archive, or its files of labelled images. Pixels lie column by column; label 1 there is 0."""
    if ARCHIVE in files:
        contents = _archive(files[ARCHIVE])
        folder = str(files[ARCHIVE])
    else:
        contents = {name: path.read_bytes() for name, path in files.items()}
        folder = str(files[TRAIN[0]].parent)
    test = _part(contents, TEST, folder) if TEST[0] in contents else None
    return Raw(_part(contents, TRAIN, folder), test)


def _archive(path: Path) -> dict[str, bytes]:
    """The files of labelled images, read in memory; those without labels, which are most, are passed by."""
    contents: dict[str, bytes] = {}
    wanted = {*TRAIN, *TEST}
    for member in members(path, wanted):
        contents[member.name] = member.content
        if contents.keys() == wanted:
            break
    if absent := [name for name in TRAIN if name not in contents]:
        raise DataError(f"{path}: holds no {', '.join(absent)}; is it the binary version of STL-10?")
    return contents


def _part(contents: Mapping[str, bytes], names: tuple[str, str], folder: str) -> Part:
    pixels, labels = (np.frombuffer(contents[name], np.uint8) for name in names)
    where = f"{folder}: {names[0]}"
    if pixels.size % np.prod(SHAPE):
        raise DataError(f"{where}: {pixels.size} bytes are no images of {SHAPE}; delete it and start again")
    if labels.size and labels.min() == 0:
        raise DataError(f"{folder}: {names[1]}: label 0; expected 1..10, 0 is of images without a label")
    images = pixels.reshape(-1, *SHAPE).transpose(0, 1, 3, 2)
    return part_of(np.ascontiguousarray(images), labels.astype(np.int64) - 1, where)
