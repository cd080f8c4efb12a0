"""A user's own images in a `.npz` file of numpy arrays."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.data.readers.base import Part, Raw, part_of
from robustfront.errors import DataError

ZIP = b"PK\x03\x04"
"""How a zip file with something in it begins."""


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """Arrays x_train, y_train and, for an official test part, x_test, y_test.

    Images are uint8 of shape (N, H, W, C), (N, C, H, W) or, for one channel, (N, H, W); labels are integers
    0..K-1 of shape (N,). Pickled objects are refused.
    """
    if len(files) != 1:
        raise DataError(
            f"{dataset.path}: a folder with {len(files)} files; give the .npz file itself as path of dataset "
            f"{dataset.name}"
        )
    (path,) = files.values()
    arrays = _arrays(path)
    train, test = {"x_train", "y_train"}, {"x_test", "y_test"}
    absent = (train | test if arrays.keys() & test else train) - arrays.keys()
    if absent:
        raise DataError(f"{path}: holds no array {' and '.join(sorted(absent))}, only {sorted(arrays)}")

    def part(name: str) -> Part:
        where = f"{path}: x_{name}, y_{name}"
        return part_of(
            _channels_first(arrays[f"x_{name}"], dataset.channels, where), arrays[f"y_{name}"], where
        )

    return Raw(part("train"), part("test") if "x_test" in arrays else None)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            begins = file.read(16)
        if not begins.startswith(ZIP):  # numpy would take it for a pickle, and advise to allow that
            raise ValueError(f"it begins with {begins!r}")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a .npz of plain arrays ({error}); write it with numpy.savez") from error
    except MemoryError as error:  # a header can ask for any size
        raise DataError(f"{path}: its arrays do not fit into the memory of this machine ({error})") from error


def _channels_first(images: np.ndarray, channels: int, where: str) -> np.ndarray:
    if images.ndim == 3 and channels == 1:
        return images[:, None]
    first = images.ndim == 4 and images.shape[1] == channels
    last = images.ndim == 4 and images.shape[3] == channels
    if first == last:
        raise DataError(
            f"{where}: images have shape {images.shape}; expected {channels} channels (the length of "
            f"normalisation.mean) in {'only one of ' if first else ''}the second or the last place"
        )
    return images if first else images.transpose(0, 3, 1, 2)
