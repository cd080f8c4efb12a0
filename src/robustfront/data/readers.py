"""Read each file format into uint8 images (N, C, H, W) and int64 labels (N,), in the order of the file.

Readers get the paths of verified files only, extract nothing to disk and run nothing that a file contains.
Damaged or foreign content is a DataError that names the file.
"""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.config.registry import resolve
from robustfront.data import pickles
from robustfront.errors import DataError

CIFAR_ARCHIVE = "cifar-10-python.tar.gz"
CIFAR_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
CIFAR_TEST = "test_batch"


class Part(NamedTuple):
    """Images uint8 (N, C, H, W) and labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


class Raw(NamedTuple):
    """A data set as its authors split it; `test` is None where they did not, or its files were not given."""

    train: Part
    test: Part | None


def read(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The images of a data set from its files by name, by the function that its source names."""
    found: Raw = resolve(dataset.read_by, type(dataset))(dataset, files)
    return found


def read_cifar10(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """CIFAR-10, python version: the archive, or its batch files."""
    if CIFAR_ARCHIVE in files:
        parts = _cifar_archive(files[CIFAR_ARCHIVE])
    else:
        parts = {name: _cifar_batch(str(path), path.read_bytes()) for name, path in files.items()}
    train = [parts[name] for name in CIFAR_TRAIN]
    return Raw(Part(*map(np.concatenate, zip(*train, strict=True))), parts.get(CIFAR_TEST))


def _cifar_archive(path: Path) -> dict[str, Part]:
    """The batches in the archive, read in memory: links and folders in it mean nothing."""
    parts = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in (*CIFAR_TRAIN, CIFAR_TEST):
                    with cast(IO[bytes], archive.extractfile(member)) as content:
                        parts[name] = _cifar_batch(f"{path}:{member.name}", content.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged archive ({error}); delete it and start again") from error
    absent = [name for name in CIFAR_TRAIN if name not in parts]
    if absent:
        raise DataError(f"{path}: holds no {', '.join(absent)}; is it the python version of CIFAR-10?")
    return parts


def _cifar_batch(name: str, content: bytes) -> Part:
    batch = pickles.load(content, name)
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{name}: holds no 'data' and 'labels'; is it a batch of CIFAR-10?")
    if data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise DataError(f"{name}: data has shape {data.shape}, expected (N, 3072)")
    return part_of(data.reshape(-1, 3, 32, 32), np.array(labels), name)


def read_svhn(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """SVHN cropped digits: `train_32x32.mat` and `test_32x32.mat`. Label 10 there is digit 0."""
    parts = {name: _svhnpart_of(path) for name, path in files.items()}
    return Raw(parts["train_32x32.mat"], parts.get("test_32x32.mat"))


def _svhnpart_of(path: Path) -> Part:
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"]
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DataError(
            f"{path}: no MATLAB file with X and y ({error}); delete it and start again"
        ) from error
    if images.ndim != 4 or labels.shape != (images.shape[3], 1):
        raise DataError(f"{path}: X {images.shape} and y {labels.shape} are not (H, W, C, N) and (N, 1)")
    digits = np.where(labels[:, 0] == 10, 0, labels[:, 0])
    return part_of(images.transpose(3, 2, 0, 1), digits, path)


def read_mnist(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """MNIST: gzipped IDX files, `train-*` and `t10k-*`."""

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
    shape = np.frombuffer(content[4:start], ">u4").astype(int)
    if len(content) != start + shape.prod():
        raise DataError(f"{path}: has {len(content) - start} values, its header says {shape.prod()}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_npz(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """A user's own images: arrays x_train, y_train and, for an official test part, x_test, y_test.

    Images are uint8 of shape (N, H, W, C), (N, C, H, W) or, for one channel, (N, H, W); labels are integers
    0..K-1 of shape (N,). Pickled objects are refused.
    """
    (path,) = files.values()
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a .npz of plain arrays ({error}); write it with numpy.savez") from error
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


def read_digits(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    """The 1797 8x8 digits inside scikit-learn, grey values 0..16 scaled to 0..255. No official test part."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Raw(
        part_of(np.rint(digits.images * 255 / 16).astype(np.uint8)[:, None], digits.target, "digits"), None
    )


def part_of(images: np.ndarray, labels: np.ndarray, where: str | Path) -> Part:
    """Both arrays, checked: uint8 images, integer labels that are not negative, as many of each."""
    if images.dtype != np.uint8:
        raise DataError(f"{where}: images are {images.dtype}; expected uint8 values 0..255")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels are {labels.dtype} {labels.shape}; expected integers of shape (N,)")
    if len(images) != len(labels) or not images.size:
        raise DataError(f"{where}: {len(images)} images of shape {images.shape[1:]} and {len(labels)} labels")
    if labels.min() < 0:
        raise DataError(f"{where}: label {labels.min()}; expected 0..K-1")
    return Part(images, labels.astype(np.int64))
