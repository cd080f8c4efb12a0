"""Real SVHN digits from the authors' container, a compressed MATLAB v5 file, to the splits of a store.

What is inside the containers is read here byte by byte, without the library that the reader uses.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.io import savemat

from robustfront.config.images import Splits
from robustfront.data.store import Split, load, prepare
from robustfront.errors import DataError

COMPRESSED, MATRIX, UINT8 = 15, 14, 2
"""Types of elements of a MATLAB v5 file."""

TRAIN, TEST = 900, 183


class Digits(NamedTuple):
    """Images uint8 (N, 3, 32, 32) and the authors' labels (N,), 10 for the digit 0."""

    images: np.ndarray
    labels: np.ndarray


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each element; of four bytes or fewer it stands in the tag itself."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        if kind >> 16:
            yield kind & 0xFFFF, content[at + 4 : at + 4 + (kind >> 16)]
            at += 8
        else:
            yield kind, content[at + 8 : at + 8 + size]
            at += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)


def container(path: Path) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Name -> sizes and bytes, in column-major order, of the uint8 arrays of a compressed MATLAB v5 file."""
    content, arrays = path.read_bytes(), {}
    assert content.startswith(b"MATLAB 5.0 MAT-file")
    assert content[124:128] == b"\x00\x01IM"  # version, and the order of bytes: least significant first
    for kind, packed in elements(content[128:]):
        assert kind == COMPRESSED
        ((inner, matrix),) = elements(zlib.decompress(packed))
        assert inner == MATRIX
        _, (_, sizes), (_, name), (values_are, values) = elements(matrix)
        assert values_are == UINT8
        arrays[name.decode()] = struct.unpack(f"<{len(sizes) // 4}i", sizes), values
    return arrays


def digits(path: Path) -> Digits:
    (shape, pixels), (labelled, labels) = (container(path)[name] for name in ("X", "y"))
    assert shape == (32, 32, 3, labelled[0])
    assert labelled[1:] == (1,)
    by_column = np.frombuffer(pixels, np.uint8).reshape(-1, 3, 32, 32)
    return Digits(by_column.swapaxes(2, 3), np.frombuffer(labels, np.uint8))


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Digits:
    (path,) = (shared_data / "svhn").iterdir()
    return digits(path)


@pytest.fixture
def folder(real: Digits, tmp_path: Path) -> Path:
    """The digits in two files under the authors' names: the first 900, and the last 183."""
    parts = {"train_32x32.mat": slice(0, TRAIN), "test_32x32.mat": slice(TRAIN, None)}
    for name, part in parts.items():
        arrays = {"X": real.images[part].transpose(2, 3, 1, 0), "y": real.labels[part, None]}
        savemat(tmp_path / name, arrays, format="5", do_compression=True)
        written = digits(tmp_path / name)
        assert np.array_equal(written.images, real.images[part])
        assert np.array_equal(written.labels, real.labels[part])
    return tmp_path


def stored(folder: Path, dataset: Any, splits: Splits) -> dict[str, Split]:
    """The splits that the source `svhn` makes of the user's own files there."""
    checksums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mat")}
    config = dataset("svhn", channels=3, path=str(folder), checksums=checksums, splits=splits)
    prepare(config, folder / "raw", folder / "out")
    store = load(folder / "out", "cpu")
    assert store.classes == 10
    return {name: getattr(store, name) for name in ("train", "validation", "test")}


def check(split: Split, part: Digits) -> None:
    """Every image and label is that of the container at the index it is said to have."""
    at = split.indices.numpy()
    assert np.array_equal(split.images.numpy(), part.images[at])
    assert np.array_equal(split.labels.numpy(), part.labels[at] % 10)


def test_every_pixel_and_label_arrives_and_the_splits_share_no_image(
    real: Digits, folder: Path, dataset: Any
) -> None:
    assert len(real.labels) == TRAIN + TEST
    assert set(real.labels.tolist()) == set(range(1, 11))
    train, test = (Digits(*(array[part] for array in real)) for part in (slice(TRAIN), slice(TRAIN, None)))
    found = stored(folder, dataset, Splits(validation=100))
    check(found["train"], train)
    check(found["validation"], train)
    check(found["test"], test)
    assert found["test"].indices.tolist() == list(range(TEST))
    ours = [found[name].indices.tolist() for name in ("train", "validation")]
    assert [len(indices) for indices in ours] == [TRAIN - 100, 100]
    assert sorted(ours[0] + ours[1]) == list(range(TRAIN))
    shares = np.bincount(train.labels % 10) * 100 / TRAIN
    assert np.abs(np.bincount(found["validation"].labels, minlength=10) - shares).max() < 1


def test_a_test_split_may_be_held_out_of_the_training_file_alone(
    real: Digits, folder: Path, dataset: Any
) -> None:
    (folder / "test_32x32.mat").unlink()
    train = Digits(*(array[:TRAIN] for array in real))
    found = stored(folder, dataset, Splits(validation=100, test=200, rule="last"))
    for split in found.values():
        check(split, train)
    assert {name: split.indices.tolist() for name, split in found.items()} == {
        "train": list(range(600)),
        "validation": list(range(600, 700)),
        "test": list(range(700, 900)),
    }


def test_a_part_of_svhn_is_not_taken_for_the_whole(folder: Path, dataset: Any) -> None:
    with pytest.raises(DataError, match=r"list your own files' checksums in dataset images"):
        prepare(dataset("svhn", channels=3, path=str(folder)), folder / "raw", folder / "out")
