import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from robustfront.config.datasets import Dataset, datasets
from robustfront.config.registry import resolve
from robustfront.data import pickles, readers
from robustfront.data.readers import Part, Raw, cifar10, cifar100, part_of
from robustfront.errors import DataError

RNG = np.random.default_rng(0)


def config(source: str, channels: int) -> Dataset:
    """A data set of that source."""
    normalisation = {"mean": [0.5] * channels, "std": [0.5] * channels}
    common = {"name": "images", "splits": {"validation": 1}, "normalisation": normalisation}
    return Dataset.model_validate(common | {"source": source})


def rows(count: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, 3072), dtype=np.uint8)


def python2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    """The opcodes with which Python 2 wrote the official batches: byte-string keys, protocol 2."""

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    def integer(value: int) -> bytes:
        return b"M" + struct.pack("<H", value)

    dtype = b"cnumpy\ndtype\n" + text("u1") + b"K\x00K\x01\x87R(K\x03" + text("|")
    dtype += b"NNN" + 2 * (b"J" + struct.pack("<i", -1)) + b"K\x00tb"
    raw = data.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
    array += b"(K\x01" + integer(data.shape[0]) + integer(data.shape[1]) + b"\x86" + dtype + b"\x89"
    array += b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text("data") + array + text("labels") + numbers + b"u."


def python3_batch(data: np.ndarray, labels: list[int]) -> bytes:
    return pickle.dumps({"data": data, "labels": labels, "filenames": ["a.png"]}, protocol=2)


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


# ------------------------------------------------------------------------------------------- pickles
@pytest.mark.parametrize("write", [python2_batch, python3_batch])
def test_batches_of_both_pythons_read_as_the_standard_unpickler_reads_them(write):
    data, labels = rows(300), [7, 0, 255] * 100
    content = write(data, labels)
    reference = {
        key.decode() if isinstance(key, bytes) else key: value
        for key, value in pickle.loads(content, encoding="bytes").items()
    }
    batch = pickles.load(content, "batch")
    assert batch.keys() == reference.keys()
    assert np.array_equal(batch["data"], reference["data"])
    assert np.array_equal(batch["data"], data)
    assert batch["labels"] == labels


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "poison",
    [
        lambda: Calls(os.system, "touch executed"),
        lambda: Calls(eval, "open('executed', 'w')"),
        lambda: Calls(open, "executed", "w"),
        lambda: {"data": rows(1), "labels": [Calls(os.system, "touch executed")]},
        lambda: {"data": Calls(getattr, "", "join"), "labels": [0]},
    ],
)
def test_a_pickle_that_carries_code_is_refused_and_nothing_runs(poison, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(poison(), protocol=protocol)
    with pytest.raises(DataError, match="data_batch_1: not a CIFAR batch: it names "):
        pickles.load(content, "data_batch_1")
    assert list(tmp_path.iterdir()) == []
    if protocol == 2 and not isinstance(poison(), dict):
        pickle.loads(content)  # the standard unpickler does run it: the test could fail
        assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        python3_batch(rows(5), [0] * 5)[:-400],
        pickle.dumps(["a", "list"]),
        pickle.dumps({"data": np.zeros(3, np.float32)}, protocol=2),
        pickle.dumps({"data": np.zeros(3, np.int8)}, protocol=2),
        pickle.dumps({"data": np.array([{}], dtype=object)}, protocol=2),
        pickle.dumps({"data": np.asfortranarray(rows(4))}, protocol=2),
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)Rs.",
    ],
)
def test_damaged_or_foreign_pickles_are_a_data_error(content):
    with pytest.raises(DataError, match="batch_x: not a CIFAR batch"):
        pickles.load(content, "batch_x")


# ------------------------------------------------------------------------------------------- CIFAR-100
def test_cifar100_has_fine_classes_from_archive_and_files(tmp_path):
    contents, wanted = {}, {}
    for name in ("train", "test"):
        data, fine = rows(5), RNG.integers(0, 100, 5).tolist()
        batch = {"data": data, "fine_labels": fine, "coarse_labels": [0] * 5, "filenames": [b"a.png"] * 5}
        contents[name] = pickle.dumps(batch, protocol=2)
        wanted[name] = data.reshape(5, 3, 32, 32), np.array(fine)
        (tmp_path / name).write_bytes(contents[name])
    archive = tmp_path / cifar100.ARCHIVE
    write_archive(archive, {f"cifar-100-python/{name}": content for name, content in contents.items()})
    for files in ({archive.name: archive}, {name: tmp_path / name for name in contents}):
        raw = readers.read(config("cifar100", 3), files)
        for name, part in {"train": raw.train, "test": raw.test}.items():
            assert all(map(np.array_equal, part, wanted[name]))


def test_real_cifar100_is_read(shared_data):
    folder = shared_data / "cifar100"
    raw = readers.read(config("cifar100", 3), {name: folder / name for name in ("train", "test")})
    assert len(raw.train.labels) == 1117
    assert raw.train.labels[:3].tolist() == [19, 29, 0]  # cattle, dinosaur, apple: the well-known first ones
    assert set(np.unique(raw.train.labels)) == set(range(100))


# --------------------------------------------------------------------------------------- Tiny-ImageNet
def jpeg(colour: tuple[int, int, int] | int, size: int = 64) -> bytes:
    content = io.BytesIO()
    Image.new("L" if isinstance(colour, int) else "RGB", (size, size), colour).save(content, "JPEG")
    return content.getvalue()


def write_tiny(path: Path, **changes: bytes) -> None:
    members = {
        "wnids.txt": b"n02\nn01\n",
        "train/n01/images/n01_0.JPEG": jpeg((200, 0, 0)),
        "train/n02/images/n02_10.JPEG": jpeg(90),
        "train/n02/images/n02_9.JPEG": jpeg((0, 200, 0)),
        "train/n02/n02_boxes.txt": b"n02_9.JPEG\t0\t0\t63\t63\n",
        "val/images/val_1.JPEG": jpeg((0, 0, 200)),
        "val/images/val_0.JPEG": jpeg(10),
        "val/val_annotations.txt": b"val_1.JPEG\tn02\t0\t0\t1\t1\nval_0.JPEG\tn01\t0\t0\t1\t1\n",
        "test/images/test_0.JPEG": b"not looked at",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | changes).items():
            archive.writestr(f"tiny-imagenet-200/{name}", content)


def test_tiny_imagenet_is_read_in_its_archive_in_the_order_of_its_lists(tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    write_tiny(path)
    raw = readers.read(config("tiny_imagenet", 3), {path.name: path})
    assert raw.train.labels.tolist() == [1, 0, 0]
    assert raw.test.labels.tolist() == [1, 0]
    wanted = [[200, 0, 0], [0, 200, 0], [90, 90, 90]]
    assert np.abs(raw.train.images.mean(axis=(2, 3)) - wanted).max() < 3  # JPEG loses a little
    assert np.abs(raw.test.images.mean(axis=(2, 3)) - [[10] * 3, [0, 0, 200]]).max() < 3
    assert raw.train.images.shape == (3, 3, 64, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train/n03/images/n03_0.JPEG": jpeg(1)}, "class 'n03' is not in wnids"),
        ({"val/images/val_0.JPEG": jpeg(1, size=32)}, "expected 64 x 64"),
        ({"val/images/val_0.JPEG": b"no image"}, "damaged, or not Tiny-ImageNet"),
    ],
)
def test_what_is_not_tiny_imagenet_is_a_data_error(changes, message, tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    write_tiny(path, **changes)
    with pytest.raises(DataError, match=message):
        readers.read(config("tiny_imagenet", 3), {path.name: path})


# ------------------------------------------------------------------------------------------- CIFAR-10
def batches(write=python2_batch, count: int = 4) -> tuple[dict[str, bytes], np.ndarray, list[int]]:
    data, contents, labels = [], {}, []
    for name in (*cifar10.TRAIN, cifar10.TEST):
        data.append(rows(count))
        labels.append(RNG.integers(0, 10, count).tolist())
        contents[name] = write(data[-1], labels[-1])
    return contents, np.stack(data).reshape(6, count, 3, 32, 32), np.array(labels)


def test_cifar_archive_and_unpacked_files_give_the_same_images_in_order(tmp_path):
    contents, images, labels = batches()
    archive = tmp_path / cifar10.ARCHIVE
    # the archive's own order does not matter
    write_archive(archive, {f"cifar-10-batches-py/{name}": contents[name] for name in sorted(contents)[::-1]})
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    packed = readers.read(config("cifar10", 3), {archive.name: archive})
    loose = readers.read(config("cifar10", 3), {name: tmp_path / name for name in contents})
    for raw in (packed, loose):
        assert np.array_equal(raw.train.images, images[:5].reshape(-1, 3, 32, 32))
        assert np.array_equal(raw.train.labels, labels[:5].ravel())
        assert np.array_equal(raw.test.images, images[5])
        assert np.array_equal(raw.test.labels, labels[5])
        assert raw.train.labels.dtype == np.int64


def test_nothing_of_an_archive_reaches_the_disk(tmp_path, monkeypatch):
    contents, images, _ = batches()
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    archive = folder / cifar10.ARCHIVE
    members = {f"../../{name}": content for name, content in contents.items()}
    write_archive(archive, members | {"../../../evil": b"x", "/tmp/robustfront-evil": b"x"})
    raw = readers.read(config("cifar10", 3), {archive.name: archive})
    assert len(raw.train.images) == 5 * images.shape[1]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == [archive]
    assert not Path("/tmp/robustfront-evil").exists()


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    contents, _, _ = batches()
    (tmp_path / "secret").write_bytes(contents["data_batch_5"])
    archive = tmp_path / cifar10.ARCHIVE
    with tarfile.open(archive, "w:gz") as tar:
        for name in cifar10.TRAIN[:4]:
            info = tarfile.TarInfo(name)
            info.size = len(contents[name])
            tar.addfile(info, io.BytesIO(contents[name]))
        link = tarfile.TarInfo("data_batch_5")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
    with pytest.raises(DataError, match="holds no data_batch_5"):
        readers.read(config("cifar10", 3), {archive.name: archive})


def test_a_malicious_batch_in_an_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / cifar10.ARCHIVE
    write_archive(
        archive, {"cifar-10-batches-py/data_batch_1": pickle.dumps(Calls(os.system, "touch executed"))}
    )
    with pytest.raises(DataError, match=r"cifar-10-batches-py/data_batch_1: .* names posix\.system"):
        readers.read(config("cifar10", 3), {archive.name: archive})
    assert not (tmp_path / "executed").exists()


def test_a_truncated_archive_is_a_data_error(tmp_path):
    contents, _, _ = batches()
    archive = tmp_path / cifar10.ARCHIVE
    write_archive(archive, contents)
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: damaged archive"):
        readers.read(config("cifar10", 3), {archive.name: archive})


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (rows(3)[:, :100], [0, 1, 2], r"shape \(3, 100\)"),
        (rows(3), [0, 1], "3 images .* 2 labels"),
        (rows(2), [0, -1], "label -1"),
        (rows(2), ["a", "b"], "labels are"),
        (None, [0], "holds no 'data'"),
    ],
)
def test_a_batch_that_is_not_cifar_is_a_data_error(data, labels, message, tmp_path):
    files = {}
    for name in cifar10.TRAIN:
        files[name] = tmp_path / name
        files[name].write_bytes(python3_batch(data, labels))
    with pytest.raises(DataError, match=message):
        readers.read(config("cifar10", 3), files)


def test_real_cifar10_has_the_known_labels_and_statistics(unpacked, shared_data):
    folder = unpacked / "cifar-10-batches-py"
    names = (*cifar10.TRAIN, cifar10.TEST)
    raw = readers.read(config("cifar10", 3), {name: folder / name for name in names})
    images, labels = raw.train
    assert images.shape == (50_000, 3, 32, 32)
    assert np.bincount(labels).tolist() == [5000] * 10
    assert labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    assert raw.test.labels[:5].tolist() == [3, 8, 8, 0, 6]
    # The statistics every CIFAR-10 recipe prints
    histogram = (
        np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(3)]) / images[:, 0].size
    )
    mean = histogram @ np.arange(256) / 255
    std = np.sqrt(histogram @ (np.arange(256) / 255) ** 2 - mean**2)
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)
    assert std == pytest.approx([0.2470, 0.2435, 0.2616], abs=5e-5)
    # Pixels against the picture they were cut from
    mosaic = Image.open(shared_data / "cifar10" / "test_batch.webp").convert("RGB")
    for i in (0, 99, 100, 1016):
        top, left = divmod(i, 100)
        tile = mosaic.crop((32 * left, 32 * top, 32 * left + 32, 32 * top + 32))
        assert np.array_equal(raw.test.images[i], np.asarray(tile).transpose(2, 0, 1))


# ----------------------------------------------------------------------------------------------- SVHN
def write_mat(path: Path, count: int = 20, **changes: object) -> tuple[np.ndarray, np.ndarray]:
    images = RNG.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
    labels = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
    savemat(path, {"X": images, "y": labels} | changes)
    return images, labels


def test_svhn_turns_axes_and_calls_digit_zero_zero(tmp_path):
    train, test = tmp_path / "train_32x32.mat", tmp_path / "test_32x32.mat"
    images, _ = write_mat(train)
    write_mat(test, 10)
    raw = readers.read(config("svhn", 3), {path.name: path for path in (train, test)})
    for n, channel, row, column in [(0, 0, 0, 0), (7, 2, 5, 31), (19, 1, 31, 4)]:
        assert raw.train.images[n, channel, row, column] == images[row, column, channel, n]
    assert raw.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] * 2
    assert raw.test.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert readers.read(config("svhn", 3), {train.name: train}).test is None


@pytest.mark.parametrize("damage", ["truncated", "foreign", "other arrays", "shapes"])
def test_a_damaged_mat_file_is_a_data_error(damage, tmp_path):
    path = tmp_path / "train_32x32.mat"
    write_mat(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "foreign":
        path.write_bytes(b"<html>moved</html>" * 100)
    elif damage == "other arrays":
        savemat(path, {"Z": np.zeros(3)})
    else:
        write_mat(path, y=np.ones((7, 1), np.uint8))
    with pytest.raises(DataError, match=r"train_32x32\.mat: "):
        readers.read(config("svhn", 3), {path.name: path})


def test_real_svhn_digits_are_read(shared_data):
    (path,) = (shared_data / "svhn").iterdir()
    images, labels = readers.read(config("svhn", 3), {"train_32x32.mat": path}).train
    assert images.shape == (1083, 3, 32, 32)
    assert labels[:10].tolist() == [1, 9, 2, 3, 2, 5, 9, 3, 3, 1]
    assert set(labels.tolist()) == set(range(10))


# ---------------------------------------------------------------------------------------------- MNIST
def test_real_mnist_has_the_known_labels_and_statistics(shared_data):
    files = {path.name: path for path in (shared_data / "mnist").iterdir()}
    raw = readers.read(config("mnist", 1), files)
    assert raw.train.images.shape == (60_000, 1, 28, 28)
    assert raw.test.images.shape == (10_000, 1, 28, 28)
    assert raw.train.labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert raw.test.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    histogram = np.bincount(raw.train.images.ravel(), minlength=256) / raw.train.images.size
    mean = histogram @ np.arange(256) / 255
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert np.sqrt(histogram @ (np.arange(256) / 255) ** 2 - mean**2) == pytest.approx(0.3081, abs=5e-5)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, images: bytes, labels: bytes) -> dict[str, Path]:
    files = {name: folder / f"train-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")}
    for path, content in zip(files.values(), (images, labels), strict=True):
        path.write_bytes(content)
    return {path.name: path for path in files.values()}


def test_mnist_training_part_alone(tmp_path):
    images, labels = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8), np.arange(6, dtype=np.uint8)
    files = write_mnist(tmp_path, gzip.compress(idx(images)), gzip.compress(idx(labels)))
    raw = readers.read(config("mnist", 1), files)
    assert np.array_equal(raw.train.images[:, 0], images)
    assert raw.train.labels.tolist() == list(range(6))
    assert raw.test is None


@pytest.mark.parametrize(
    "damage", ["cut gzip", "not gzip", "cut content", "labels as images", "counts differ", "sizes overflow"]
)
def test_damaged_idx_files_are_a_data_error(damage, tmp_path):
    content, labels = idx(RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)), idx(np.arange(6, dtype=np.uint8))
    images = {
        "cut gzip": gzip.compress(content)[:-20],
        "not gzip": b"<html>moved</html>",
        "cut content": gzip.compress(content[:-1]),
        "labels as images": gzip.compress(labels),
        "counts differ": gzip.compress(idx(np.zeros((5, 5, 4), np.uint8))),
        # 2^31 * 2^31 * 4 is 0 in 64 bits, which is how many values there are
        "sizes overflow": gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 1 << 31, 1 << 31, 4)),
    }[damage]
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: "):
        readers.read(config("mnist", 1), write_mnist(tmp_path, images, gzip.compress(labels)))


# --------------------------------------------------------------------------------------------- digits
def test_digits_are_scaled_to_the_whole_range():
    raw = readers.read(config("digits", 1), {})
    assert raw.train.images.shape == (1797, 1, 8, 8)
    assert raw.test is None
    assert np.unique(raw.train.images).tolist() == [round(v * 255 / 16) for v in range(17)]
    assert raw.train.labels[:10].tolist() == list(range(10))


# ------------------------------------------------------------------------------------------------ npz
@pytest.mark.parametrize("layout", ["nhwc", "nchw", "nhw"])
@pytest.mark.parametrize("test", [True, False])
def test_npz_in_any_layout(layout, test, tmp_path):
    channels = 1 if layout == "nhw" else 3
    expected = RNG.integers(0, 256, (12, channels, 6, 5), dtype=np.uint8)
    stored = {"nhwc": expected.transpose(0, 2, 3, 1), "nchw": expected, "nhw": expected[:, 0]}[layout]
    labels = np.arange(12, dtype=np.uint8) % 4
    arrays = {"x_train": stored[:8], "y_train": labels[:8]}
    if test:
        arrays |= {"x_test": stored[8:], "y_test": labels[8:]}
    np.savez(tmp_path / "own.npz", **arrays)
    raw = readers.read(config("npz", channels), {"own.npz": tmp_path / "own.npz"})
    assert np.array_equal(raw.train.images, expected[:8])
    assert np.array_equal(raw.train.labels, labels[:8])
    assert (raw.test is not None) == test
    if raw.test is not None:
        assert np.array_equal(raw.test.images, expected[8:])


GOOD = {"x_train": np.zeros((4, 8, 8, 3), np.uint8), "y_train": np.arange(4)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((4, 8, 8, 3), np.float32)}, "float32; expected uint8"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8)}, "expected 3 channels"),
        ({"x_train": np.zeros((4, 3, 8, 3), np.uint8)}, "only one of"),
        ({"x_train": np.zeros((4, 8, 8, 4), np.uint8)}, "expected 3 channels"),
        ({"x_train": np.zeros((5, 8, 8, 3), np.uint8)}, "5 images .* 4 labels"),
        ({"x_train": np.zeros((0, 8, 8, 3), np.uint8), "y_train": np.arange(0)}, "0 images"),
        ({"y_train": np.arange(4.0)}, "labels are float64"),
        ({"y_train": np.arange(4)[:, None]}, r"labels are int64 \(4, 1\)"),
        ({"y_train": np.arange(4) - 1}, "label -1"),
        ({"y_train": np.array([{}, 1, 2, 3], dtype=object)}, "not a .npz of plain arrays"),
        ({"x_test": np.zeros((4, 8, 8, 3), np.uint8)}, "holds no array y_test"),
    ],
)
def test_an_npz_that_cannot_be_used_says_why(changes, message, tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, **(GOOD | changes))
    with pytest.raises(DataError, match=message) as error:
        readers.read(config("npz", 3), {"own.npz": path})
    assert str(path) in str(error.value)


def test_an_npz_without_training_arrays_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.zeros(3))
    with pytest.raises(DataError, match=r"holds no array x_train and y_train, only \['images'\]"):
        readers.read(config("npz", 3), {"own.npz": tmp_path / "own.npz"})


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps([1]), b"<!DOCTYPE html><p>moved"])
def test_a_file_that_is_no_npz_is_a_data_error(content, tmp_path):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz: not a \.npz") as error:
        readers.read(config("npz", 3), {"own.npz": tmp_path / "own.npz"})
    assert "pickle" not in str(error.value)  # numpy's advice, which nobody should follow


def test_an_npz_that_asks_for_more_memory_than_there_is(tmp_path):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)}
    )
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("x_train.npy", content.getvalue())
    with pytest.raises(DataError, match=r"own\.npz: its arrays do not fit into the memory"):
        readers.read(config("npz", 3), {"own.npz": tmp_path / "own.npz"})


def test_a_label_beyond_int64_is_no_negative_one():
    with pytest.raises(DataError, match=f"label {2**63}"):
        part_of(np.zeros((1, 1, 2, 2), np.uint8), np.array([2**63], np.uint64), "own")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_a_data_error(save, tmp_path):
    path = tmp_path / "own.npz"
    save(path, x_train=RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), y_train=np.arange(40))
    whole = path.read_bytes()
    path.write_bytes(whole[:-300])
    with pytest.raises(DataError, match=r"own\.npz: "):
        readers.read(config("npz", 3), {"own.npz": path})
    path.write_bytes(whole[:4000] + bytes([whole[4000] ^ 255]) + whole[4001:])
    with pytest.raises(DataError, match=r"own\.npz: "):
        readers.read(config("npz", 3), {"own.npz": path})


def test_a_bare_npy_file_is_a_data_error(tmp_path):
    with (tmp_path / "own.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"own\.npz: not a \.npz"):
        readers.read(config("npz", 3), {"own.npz": tmp_path / "own.npz"})


def test_each_source_has_a_reader_in_a_file_of_its_own() -> None:
    found = {name: resolve(kind.read_by, kind).__module__ for name, kind in datasets.entries.items()}
    pairs = {"digits-pair": "digit_pair", "mnist-pair": "digit_pair"}  # of two sources, by one function
    assert found == {name: f"robustfront.data.readers.{pairs.get(name, name)}" for name in found}
    assert {"cifar10", "digits", "mnist", "npz", "svhn"} <= found.keys()


class Unchecked(Dataset):
    """Of a user whose reader checks nothing."""

    read_by = "unchecked"
    source: str = "unchecked"


def unchecked(dataset, files) -> Raw:
    return Raw(Part(**np.load(files["own.npz"])), None)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 1, 4, 4), np.float32), "dataset images: images are float32; expected uint8"),
        (
            np.zeros((2, 4, 4), np.uint8),
            r"dataset images: images have shape \(2, 4, 4\); expected \(N, C, H, W\)",
        ),
    ],
)
def test_what_any_reader_returns_is_checked(images, message, tmp_path) -> None:
    np.savez(tmp_path / "own.npz", images=images, labels=np.array([0, 1]))
    normalisation = {"mean": [0.5], "std": [0.5]}
    dataset = Unchecked(name="images", splits={"validation": 1}, normalisation=normalisation)
    with pytest.raises(DataError, match=message):
        readers.read(dataset, {"own.npz": tmp_path / "own.npz"})
