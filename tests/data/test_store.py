import hashlib
import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors import SafetensorError

from robustfront import checksums
from robustfront.config.datasets.mnist import OFFICIAL
from robustfront.config.images import Splits
from robustfront.data import splits as splitting
from robustfront.data.splits import subset
from robustfront.data.store import Split, Store, load, prepare
from robustfront.errors import ArtefactError, ConfigError, DataError
from robustfront.upkeep.verify import verify

RNG = np.random.default_rng(0)


def write_npz(path: Path, classes: int = 4, **changes: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {
        "x_train": RNG.integers(0, 256, (80, 6, 5, 3), dtype=np.uint8),
        "y_train": RNG.permutation(np.arange(80) % classes),
        "x_test": RNG.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8),
        "y_test": RNG.permutation(np.arange(30) % classes),
    } | changes
    np.savez(path, **arrays)
    return arrays


@pytest.fixture
def npz(dataset, tmp_path):
    """A data set of 80 + 30 random 3x6x5 images with an official test part, and its arrays."""
    path = tmp_path / "own.npz"
    arrays = write_npz(path)
    splits = Splits(validation=8, train=40, test_limit=25, seed=3)
    return dataset("npz", channels=3, path=str(path), splits=splits), arrays


@pytest.mark.parametrize("counts", [(20,) * 10, (19, 21, 18, 22, 20), (2, 2, 3, 5, 50), (1, 7)])
def test_halves_share_no_image_and_have_the_shares_of_the_classes(counts: tuple[int, ...]) -> None:
    labels = torch.from_numpy(RNG.permutation(np.repeat(np.arange(len(counts)), counts)))
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None]
    whole = Split(images, labels, 1000 + torch.arange(len(labels)))
    first, second = whole.halves()
    assert len(second) - len(first) in (0, 1)
    assert sorted([*first.indices.tolist(), *second.indices.tolist()]) == whole.indices.tolist()
    for half in (first, second):
        rows = half.indices - 1000
        assert torch.equal(half.images, images[rows])
        assert torch.equal(half.labels, labels[rows])
        found = half.labels.bincount(minlength=len(counts)).tolist()
        assert all(abs(of_half - count / 2) <= 1 for of_half, count in zip(found, counts, strict=True))
        assert all(of_half >= 1 for of_half, count in zip(found, counts, strict=True) if count > 1)
    assert first.indices.tolist() == whole.halves()[0].indices.tolist()


def check_against(store: Store, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> None:
    for split, images, labels in (
        (store.train, x, y),
        (store.validation, x, y),
        (store.test, x_test, y_test),
    ):
        assert (split.images.dtype, split.labels.dtype, split.indices.dtype) == (
            torch.uint8,
            torch.int64,
            torch.int64,
        )
        assert split.images.is_contiguous()
        assert np.array_equal(split.images.numpy(), images[split.indices.numpy()])
        assert np.array_equal(split.labels.numpy(), labels[split.indices.numpy()])
        assert len(split) == len(split.images)


def by_index(store: Store) -> list[Split]:
    """The images of all splits, one by one, in the order of their source."""
    parts = [store.train, store.validation, store.test]
    images, labels, indices = (
        torch.cat([getattr(part, field) for part in parts]) for field in ("images", "labels", "indices")
    )
    order = indices.argsort()
    return [Split(images[order], labels[order], indices[order])]


def test_every_image_comes_back_with_its_label_and_index(npz, tmp_path):
    config, arrays = npz
    prepare(config, tmp_path / "raw", tmp_path / "out")
    store = load(tmp_path / "out", "cpu")
    x, x_test = (arrays[name].transpose(0, 3, 1, 2) for name in ("x_train", "x_test"))
    check_against(store, x, arrays["y_train"], x_test, arrays["y_test"])
    assert (len(store.train), len(store.validation), len(store.test)) == (40, 8, 25)
    assert store.classes == 4
    assert set(store.train.indices.tolist()).isdisjoint(store.validation.indices.tolist())


def test_a_counted_test_is_taken_from_the_training_part(dataset, tmp_path):
    prepare(dataset("digits", splits=Splits(validation=100, test=300)), tmp_path / "raw", tmp_path / "out")
    store = load(tmp_path / "out", torch.device("cpu"))
    parts = [store.train.indices, store.validation.indices, store.test.indices]
    assert sorted(torch.cat(parts).tolist()) == list(range(1797))
    assert store.test.indices.tolist() == list(range(1497, 1797))
    assert store.train.images.shape == (1397, 1, 8, 8)
    assert store.classes == 10
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["test_part"] == "train"
    assert manifest["raw_files"] == {}


def test_the_manifest_says_what_is_inside_and_where_it_is_from(npz, tmp_path):
    config, arrays = npz
    prepare(config, tmp_path / "raw", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    raw = (tmp_path / "own.npz").read_bytes()
    assert manifest["dataset"] == config.model_dump(mode="json")
    assert manifest["raw_files"] == {
        "own.npz": {
            "path": str(tmp_path / "own.npz"),
            "bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
    }
    assert manifest["checksums"]["images.safetensors"] == (
        hashlib.sha256((tmp_path / "out" / "images.safetensors").read_bytes()).hexdigest()
    )
    assert manifest["images_per_class"]["validation"] == [2, 2, 2, 2]
    assert (
        manifest["images_per_class"]["test"]
        == np.bincount(arrays["y_test"][subset(arrays["y_test"], 25, 3)]).tolist()
    )
    assert (manifest["classes"], manifest["image_shape"], manifest["test_part"]) == (4, [3, 6, 5], "test")
    assert manifest["versions"]["numpy"] == np.__version__


def test_the_same_data_and_config_give_the_same_bytes(npz, tmp_path):
    config, _ = npz
    for out in ("a", "b", "b"):  # the second time over an older one
        prepare(config, tmp_path / "raw", tmp_path / out)
    for name in ("images.safetensors", "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["images.safetensors", "manifest.json"]


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "missing"])
def test_damaged_images_are_an_artefact_error(damage, npz, tmp_path):
    prepare(npz[0], tmp_path / "raw", tmp_path / "out")
    path = tmp_path / "out" / "images.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[-1] ^= 1
        path.write_bytes({"truncated": content[:-50], "one bit": content, "empty": b""}[damage])
    with pytest.raises(ArtefactError, match=r"images\.safetensors: .* run `snakemake` again"):
        load(tmp_path / "out", "cpu")


@pytest.mark.parametrize("content", [None, '{"classes": 4'])
def test_a_missing_or_damaged_manifest_is_an_artefact_error(content, npz, tmp_path):
    prepare(npz[0], tmp_path / "raw", tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.unlink()
    if content:
        manifest.write_text(content)
    with pytest.raises(ArtefactError, match=r"manifest\.json: "):
        load(tmp_path / "out", "cpu")


def test_a_full_disk_leaves_the_older_store_usable(npz, tmp_path, monkeypatch):
    config, _ = npz
    prepare(config, tmp_path / "raw", tmp_path / "out")

    def full(_arrays: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(ArtefactError, match=r"images\.safetensors: cannot be written: .*No space left"):
        prepare(config, tmp_path / "raw", tmp_path / "out")
    assert load(tmp_path / "out", "cpu").classes == 4
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(
    ("changes", "channels", "error", "message"),
    [
        ({"y_train": np.arange(80) % 4 + 1}, 3, DataError, r"none of \[0"),
        ({"y_test": np.arange(30) % 7}, 3, DataError, r"none of \[4, 5, 6\]"),
        ({"x_test": np.zeros((30, 6, 6, 3), np.uint8)}, 3, DataError, "both need the same shape"),
    ],
)
def test_labels_and_shapes_that_do_not_fit_are_refused(changes, channels, error, message, dataset, tmp_path):
    write_npz(tmp_path / "own.npz", **changes)
    config = dataset("npz", channels=channels, path=str(tmp_path / "own.npz"))
    with pytest.raises(error, match=f"dataset images: .*{message}"):
        prepare(config, tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_normalisation_with_another_number_of_channels_is_a_config_error(dataset, tmp_path):
    with pytest.raises(ConfigError, match="dataset images: normalisation has 3 channels, the images have 1"):
        prepare(dataset("digits", channels=3), tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("rule", ["random", "last", "last-per-class"])
def test_other_rules_of_splits_are_stored(rule, dataset, tmp_path):
    config = dataset("digits", splits=Splits(validation=100, test=300, rule=rule))
    prepare(config, tmp_path / "raw", tmp_path / "out")
    store = load(tmp_path / "out", "cpu")
    expected = splitting.split(
        config.splits, torch.cat([part.labels for part in by_index(store)]).numpy(), None
    )
    assert store.validation.indices.tolist() == expected.validation.tolist()
    assert store.train.indices.tolist() == expected.train.tolist()


def test_digits_have_no_official_test_part(dataset, tmp_path):
    config = dataset("digits", splits=Splits(validation=10))
    with pytest.raises(ConfigError, match=r"dataset images: splits\.test: .* no official test part"):
        prepare(config, tmp_path / "raw", tmp_path / "out")


def test_the_original_mnist_files_are_accepted_as_official(shared_data, dataset, tmp_path):
    splits = Splits(validation=1000, train=2000, test_limit=500)
    config = dataset("mnist", path=str(shared_data / "mnist"), splits=splits)
    prepare(config, tmp_path / "raw", tmp_path / "out")
    store = load(tmp_path / "out", "cpu")
    assert (len(store.train), len(store.validation), len(store.test)) == (2000, 1000, 500)
    assert store.test.labels.bincount().tolist() == [
        49,
        57,
        52,
        50,
        49,
        45,
        48,
        51,
        49,
        50,
    ]  # of 980, 1135, ...
    assert not (tmp_path / "raw").exists()


def test_mnist_is_downloaded_verified_and_prepared_in_one_call(shared_data, dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=shared_data / "mnist")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}/"
        official = replace(OFFICIAL, mirrors=(mirror,))
        config = dataset("mnist", splits=Splits(validation=1000))
        prepare(config, tmp_path / "raw", tmp_path / "out", official=official)
        server.shutdown()
    store = load(tmp_path / "out", "cpu")
    assert (len(store.train), len(store.validation), len(store.test)) == (59_000, 1000, 10_000)
    raw_files = json.loads((tmp_path / "out" / "manifest.json").read_text())["raw_files"]
    assert {name: entry["sha256"] for name, entry in raw_files.items()} == {
        file.name: file.checksum for file in OFFICIAL.files
    }


def test_unpacked_cifar10_needs_its_own_checksums(unpacked, dataset, tmp_path):
    folder = unpacked / "cifar-10-batches-py"
    splits = Splits(validation=2000, test=5000)
    config = dataset("cifar10", channels=3, path=str(folder), splits=splits)
    with pytest.raises(DataError, match=r"data_batch_1: md5 is .* list your own files' checksums"):
        prepare(config, tmp_path / "raw", tmp_path / "out")

    checksums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    prepare(config.model_copy(update={"checksums": checksums}), tmp_path / "raw", tmp_path / "out")
    store = load(tmp_path / "out", "cpu")
    assert (len(store.train), len(store.validation), len(store.test)) == (43_000, 2000, 5000)
    shares = torch.bincount(torch.cat([store.train.labels, store.validation.labels])) * 2000 / 45_000
    assert (torch.bincount(store.validation.labels) - shares).abs().max() < 1
    assert store.test.indices.tolist() == list(range(45_000, 50_000))


def test_a_prefix_of_svhn_with_its_own_checksum(shared_data, dataset, tmp_path):
    (original,) = (shared_data / "svhn").iterdir()
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "train_32x32.mat").symlink_to(original)
    checksums = {"train_32x32.mat": hashlib.md5(original.read_bytes()).hexdigest()}
    config = dataset(
        "svhn",
        channels=3,
        path=str(folder),
        checksums=checksums,
        splits=Splits(validation=100, test=200, train=500),
    )
    prepare(config, tmp_path / "raw", tmp_path / "out")
    store = load(tmp_path / "out", "cpu")
    assert (len(store.train), len(store.validation), len(store.test), store.classes) == (500, 100, 200, 10)


def test_the_data_step_does_not_wait_for_torch():
    code = "import robustfront.data.store, sys; print({'torch', 'scipy', 'sklearn'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# ------------------------------------------------------------------------------- what a job looks at
@pytest.fixture
def large(npz, tmp_path, monkeypatch):
    """The folder of a store that counts as large."""
    prepare(npz[0], tmp_path / "raw", tmp_path / "out")
    monkeypatch.setattr("robustfront.data.store.HASHED", 100)
    return tmp_path / "out"


def test_a_large_store_is_not_hashed_when_it_is_loaded(large, monkeypatch):
    def unasked(path: Path) -> str:
        raise AssertionError(f"{path} is hashed")

    monkeypatch.setattr("robustfront.artefacts.sha256", unasked)
    monkeypatch.setattr("robustfront.checksums.sha256", unasked)
    assert len(load(large, "cpu").train) == 40
    assert checksums.made_from(large.parent, [large / "images.safetensors"]) == {
        "out/images.safetensors": json.loads((large / "manifest.json").read_text())["checksums"][
            "images.safetensors"
        ]
    }


@pytest.mark.parametrize("damage", ["truncated", "longer", "header"])
def test_damage_to_size_or_header_of_a_large_store_is_found(damage, large):
    path = large / "images.safetensors"
    content = path.read_bytes()
    header = content.replace(b"train.images", b"trail.images")
    path.write_bytes({"truncated": content[:-1], "longer": content + b"x", "header": header}[damage])
    with pytest.raises(ArtefactError, match=r"images\.safetensors: .* run `snakemake` again"):
        load(large, "cpu")


def test_verify_finds_what_loading_a_large_store_does_not(large, tmp_path):
    path = large / "images.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load(large, "cpu")
    folder = tmp_path / "results" / "datasets" / "images"
    shutil.copytree(large, folder)
    (line,) = verify(tmp_path / "results", tmp_path / "reports").damaged
    assert str(folder / "images.safetensors") in line


def test_a_large_store_of_an_older_version_is_hashed(large):
    manifest = json.loads((large / "manifest.json").read_text())
    del manifest["bytes"]
    (large / "manifest.json").write_text(json.dumps(manifest))
    assert len(load(large, "cpu").test) == 25
    path = large / "images.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="damaged"):
        load(large, "cpu")


@pytest.mark.parametrize("names", [("test",), ("train", "validation"), ()])
def test_only_the_splits_that_are_asked_for_are_read(names, npz, tmp_path, monkeypatch):
    prepare(npz[0], tmp_path / "raw", tmp_path / "out")
    whole = load(tmp_path / "out", "cpu")
    read, safe_open = [], safetensors.safe_open

    class Noting:
        def __init__(self, *given, **named):
            self.file = safe_open(*given, **named)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def get_tensor(self, name):
            read.append(name)
            return self.file.get_tensor(name)

    monkeypatch.setattr(safetensors, "safe_open", Noting)
    part = load(tmp_path / "out", "cpu", names)
    assert part.classes == whole.classes
    assert {name.split(".")[0] for name in read} == set(names)
    for name in ("train", "validation", "test"):
        if name in names:
            assert torch.equal(getattr(part, name).images, getattr(whole, name).images)
            assert torch.equal(getattr(part, name).labels, getattr(whole, name).labels)
        else:
            with pytest.raises(LookupError, match=f"the {name} images were not loaded"):
                getattr(part, name)
