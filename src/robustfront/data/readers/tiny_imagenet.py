"""Tiny-ImageNet: JPEG files in its archive, which is read in place.

A JPEG is not the same pixels to every decoder: ours is that of the installed Pillow. The images are decoded
into a temporary file that is mapped into memory, 1.2 GB of them.
"""

import io
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.readers.base import Raw, part_of
from robustfront.errors import DataError

ARCHIVE = "tiny-imagenet-200.zip"
SIZE = 64


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """Classes are numbered in the order of `wnids.txt`; images are in the order of their names.

    Training: `train/<class>/images/*.JPEG`; test: `val/images/*.JPEG` with `val/val_annotations.txt`.
    """
    path = files[ARCHIVE]
    try:
        with zipfile.ZipFile(path) as archive:
            return _parts(archive, path)
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, EOFError) as error:
        raise DataError(
            f"{path}: damaged, or not Tiny-ImageNet ({error}); delete it and start again"
        ) from error


def _parts(archive: zipfile.ZipFile, path: Path) -> Raw:
    root = "tiny-imagenet-200"
    classes = {name: number for number, name in enumerate(_lines(archive, f"{root}/wnids.txt"))}
    train, labels = list[str](), list[int]()
    for name in sorted(archive.namelist(), key=_in_order):
        folder, _, file = name.removeprefix(f"{root}/train/").partition("/")
        if name.startswith(f"{root}/train/") and file.endswith(".JPEG"):
            train.append(name)
            labels.append(_class(classes, folder, name))
    annotated = [line.split("\t")[:2] for line in _lines(archive, f"{root}/val/val_annotations.txt")]
    test = sorted(annotated, key=lambda pair: _in_order(pair[0]))
    names = [f"{root}/val/images/{file}" for file, _ in test]
    return Raw(
        part_of(_decoded(archive, train), np.array(labels, dtype=np.int64), path),
        part_of(
            _decoded(archive, names),
            np.array([_class(classes, folder, file) for file, folder in test], dtype=np.int64),
            path,
        ),
    )


def _in_order(name: str) -> tuple[str, int, str]:
    """`n01443537_10.JPEG` comes after `n01443537_9.JPEG`."""
    stem, _, number = name.removesuffix(".JPEG").rpartition("_")
    return (stem, int(number), name) if number.isdigit() else (name, -1, name)


def _lines(archive: zipfile.ZipFile, name: str) -> list[str]:
    return archive.read(name).decode().splitlines()


def _class(classes: Mapping[str, int], name: str, of: str) -> int:
    if name not in classes:
        raise DataError(f"{of}: class {name!r} is not in wnids.txt; is it Tiny-ImageNet's own archive?")
    return classes[name]


def _decoded(archive: zipfile.ZipFile, names: Sequence[str]) -> np.ndarray:
    """uint8 (N, 3, 64, 64); a grey image has three equal channels."""
    from PIL import Image

    shape = (len(names), 3, SIZE, SIZE)
    if not names:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:
        images = np.memmap(file, np.uint8, "w+", shape=shape)
    for position, name in enumerate(names):
        with Image.open(io.BytesIO(archive.read(name))) as image:
            if image.size != (SIZE, SIZE):
                raise DataError(f"{name}: has {image.size} pixels, expected {SIZE} x {SIZE}")
            images[position] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    return images
