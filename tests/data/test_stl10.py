"""STL-10's binary layout, written here pixel by pixel."""

import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from robustfront.config.datasets import Dataset
from robustfront.data import readers
from robustfront.data.rawfiles import obtain
from robustfront.data.readers import Raw
from robustfront.errors import DataError

FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")


def config(**settings: object) -> Dataset:
    common = {
        "name": "images",
        "source": "stl10",
        "splits": {"validation": 1},
        "normalisation": {"mean": [0.0] * 3, "std": [1.0] * 3},
    }
    return Dataset.model_validate(common | settings)


def value(image: int, channel: int, row: int, column: int) -> int:
    return (40 * image + 90 * channel + 5 * row + column) % 256


def contents() -> dict[str, bytes]:
    """Two training images and one test image; in the files a column follows a column."""

    def pixels(images: range) -> bytes:
        return bytes(
            value(image, channel, row, column)
            for image in images
            for channel in range(3)
            for column in range(96)
            for row in range(96)
        )

    found = pixels(range(2)), bytes([10, 1]), pixels(range(2, 3)), bytes([3])
    return dict(zip(FILES, found, strict=True))


def archive(path: Path, members: dict[str, bytes]) -> dict[str, Path]:
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(f"stl10_binary/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return {path.name: path}


def unpacked(folder: Path, members: dict[str, bytes]) -> dict[str, Path]:
    for name, content in members.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in members}


def is_what_was_written(found: Raw) -> None:
    grid = np.indices((3, 96, 96))
    expected = [value(image, *grid) for image in range(3)]
    assert np.array_equal(found.train.images, expected[:2])
    assert found.train.images.dtype == np.uint8
    assert found.train.labels.tolist() == [9, 0]
    if found.test is not None:
        assert np.array_equal(found.test.images, expected[2:])
        assert found.test.labels.tolist() == [2]


def test_the_archive_and_its_files_are_read_alike(tmp_path: Path) -> None:
    others = {"fold_indices.txt": b"0 1", "unlabeled_X.bin": b"\0" * 50}
    for order in (others | contents(), contents() | others):
        found = readers.read(config(), archive(tmp_path / "stl10_binary.tar.gz", order))
        is_what_was_written(found)
        assert found.test is not None
    is_what_was_written(readers.read(config(), unpacked(tmp_path, contents())))


def test_without_the_test_part(tmp_path: Path) -> None:
    train = {name: content for name, content in contents().items() if name.startswith("train")}
    found = readers.read(config(), unpacked(tmp_path, train))
    is_what_was_written(found)
    assert found.test is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_X.bin": b"\0" * 27647}, "27647 bytes are no images"),
        ({"train_y.bin": bytes([0, 1])}, "train_y.bin: label 0; expected 1..10"),
        ({"train_y.bin": bytes([1])}, "2 images of shape (3, 96, 96) and 1 labels"),
    ],
)
def test_damaged_content_is_refused(change: dict[str, bytes], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        readers.read(config(), unpacked(tmp_path, contents() | change))


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stl10_binary.tar.gz"
    with pytest.raises(DataError, match=r"holds no train_X\.bin, train_y\.bin"):
        readers.read(config(), archive(path, {"unlabeled_X.bin": b"\0"}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged archive"):
        readers.read(config(), {path.name: path})


def test_files_that_lie_elsewhere_are_verified(tmp_path: Path) -> None:
    unpacked(tmp_path, contents())
    with pytest.raises(
        DataError, match=r"train_X\.bin: md5 is .*, expected 918c2871b30a85fa023e0c44e0bee87f"
    ):
        obtain(config(path=str(tmp_path)), tmp_path, config().official)
