"""Pickled batches of CIFAR's python version, in the archive or unpacked."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from robustfront.data import pickles
from robustfront.data.readers.base import Part, part_of
from robustfront.data.tarballs import members
from robustfront.errors import DataError


def batches(
    files: Mapping[str, Path], *, archive: str, train: Collection[str], test: str, labels: str
) -> dict[str, Part]:
    """Batch by name, from the archive of that name if it is among the files, else from the batches as files.

    `labels`: the key of the labels. DataError if a training batch is missing, or something is damaged.
    """
    if archive not in files:
        return {name: _batch(str(path), path.read_bytes(), labels) for name, path in files.items()}
    path = files[archive]
    found = {
        member.name: _batch(f"{path}:{member.path}", member.content, labels)
        for member in members(path, {*train, test})
    }
    if absent := [name for name in train if name not in found]:
        raise DataError(f"{path}: holds no {', '.join(absent)}; is it the python version of CIFAR?")
    return found


def _batch(name: str, content: bytes, key: str) -> Part:
    batch = pickles.load(content, name)
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{name}: holds no 'data' and '{key}'; is it a batch of CIFAR?")
    if data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise DataError(f"{name}: data has shape {data.shape}, expected (N, 3072)")
    return part_of(data.reshape(-1, 3, 32, 32), np.array(labels), name)
