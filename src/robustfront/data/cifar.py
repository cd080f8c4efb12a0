"""Pickled batches of CIFAR's python version, in the archive or unpacked."""

import tarfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, cast

import numpy as np

from robustfront.data import pickles
from robustfront.data.readers.base import Part, part_of
from robustfront.errors import DataError


def batches(
    files: Mapping[str, Path], *, archive: str, train: Collection[str], test: str, labels: str
) -> dict[str, Part]:
    """Batch by name, from the archive of that name if it is among the files, else from the batches as files.

    `labels`: the key of the labels. DataError if a training batch is missing, or something is damaged.
    """
    if archive not in files:
        return {name: _batch(str(path), path.read_bytes(), labels) for name, path in files.items()}
    found = _archive(files[archive], {*train, test}, labels)
    if absent := [name for name in train if name not in found]:
        raise DataError(f"{files[archive]}: holds no {', '.join(absent)}; is it the python version of CIFAR?")
    return found


def _archive(path: Path, wanted: Collection[str], labels: str) -> dict[str, Part]:
    """The batches in the archive, read in memory: links and folders in it mean nothing."""
    parts = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in wanted:
                    with cast(IO[bytes], archive.extractfile(member)) as content:
                        parts[name] = _batch(f"{path}:{member.name}", content.read(), labels)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive ({error}); delete it and start again") from error
    return parts


def _batch(name: str, content: bytes, key: str) -> Part:
    batch = pickles.load(content, name)
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{name}: holds no 'data' and '{key}'; is it a batch of CIFAR?")
    if data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise DataError(f"{name}: data has shape {data.shape}, expected (N, 3072)")
    return part_of(data.reshape(-1, 3, 32, 32), np.array(labels), name)
