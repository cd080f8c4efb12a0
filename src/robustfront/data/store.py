"""The image store: one folder per data set with the splits as uint8 and a manifest of their origin."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robustfront import artefacts, checksums
from robustfront.config.datasets.base import Dataset, Source
from robustfront.config.images import Splits
from robustfront.data.rawfiles import obtain
from robustfront.data.readers import Raw, read
from robustfront.data.splits import split, subset
from robustfront.errors import ArtefactError, ConfigError, DataError

if TYPE_CHECKING:  # the `data` step needs numpy alone, and importing torch takes seconds
    import torch

IMAGES = "images.safetensors"
MANIFEST = "manifest.json"
SPLITS = ("train", "validation", "test")
NOTABLE = 2
"""Images of a class that a split has at least one of: a stratified one has its share, or one less."""
HASHED = 1 << 24
"""Bytes up to which an images file is hashed whenever it is loaded: that takes some 10 ms."""


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, C, H, W), labels int64 (N,) and positions in the source int64 (N,), on one device."""

    images: "torch.Tensor"
    labels: "torch.Tensor"
    indices: "torch.Tensor"

    def __len__(self) -> int:
        return len(self.labels)

    def halves(self) -> tuple["Split", "Split"]:
        """Two parts without a common image, both with the shares of the classes; the second takes an odd one.

        They are drawn, and depend on the labels alone: the same for all trainings.
        """
        count = len(self)
        chosen = np.zeros(count, dtype=bool)
        chosen[subset(self.labels.cpu().numpy(), count // 2, seed=0)] = True
        first, second = (part.nonzero()[0].tolist() for part in (chosen, ~chosen))
        return self._part(first), self._part(second)

    def _part(self, positions: list[int]) -> "Split":
        return Split(self.images[positions], self.labels[positions], self.indices[positions])


class Store:
    """A data set in memory, or those of its splits that were asked for. LookupError for another one.

    Train, validation and test share no image; labels are 0..classes-1.
    """

    def __init__(
        self,
        train: Split | None = None,
        validation: Split | None = None,
        test: Split | None = None,
        *,
        classes: int,
    ) -> None:
        self.classes = classes
        self._splits = {"train": train, "validation": validation, "test": test}

    @property
    def train(self) -> Split:
        return self._loaded("train")

    @property
    def validation(self) -> Split:
        return self._loaded("validation")

    @property
    def test(self) -> Split:
        return self._loaded("test")

    def _loaded(self, name: str) -> Split:
        found = self._splits[name]
        if found is None:
            raise LookupError(f"the {name} images were not loaded; name the split when you load the data set")
        return found


def prepare(dataset: Dataset, raw: Path, out: Path, *, official: Source | None = None) -> None:
    """Obtains, verifies, reads and splits a data set; writes `images.safetensors`, `manifest.json` to `out`.

    Downloads go to `raw/<source>`; a test or a private mirror passes its own `official` files. Each file is
    written atomically, the manifest last; the same raw files and config give the same images file, byte for
    byte. Raises DataError (files missing or wrong), ConfigError (splits that do not fit the data),
    ArtefactError (disk full).
    """
    files = obtain(dataset, raw, official or dataset.official)
    content = read(dataset, files)
    classes = _classes(content, dataset)
    arrays = _splits(content, dataset)
    with artefacts.atomic_write(out / IMAGES) as temporary:
        _save(arrays, temporary)
    counts = {name: np.bincount(arrays[f"{name}.labels"], minlength=classes).tolist() for name in SPLITS}
    packages = ("robustfront", "numpy", "scikit-learn", "scipy", "safetensors")
    manifest = {
        "dataset": dataset.model_dump(mode="json"),
        "bytes": {IMAGES: (out / IMAGES).stat().st_size},
        "classes": classes,
        "image_shape": list(content.train.images.shape[1:]),
        "images_per_class": counts,
        "test_part": "test" if dataset.splits.test == "official" else "train",
        "raw_files": {
            name: {"path": str(path), "bytes": path.stat().st_size, "sha256": artefacts.sha256(path)}
            for name, path in files.items()
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
    }
    checksums.write_record(out / MANIFEST, manifest, [out / IMAGES])


def load(folder: Path, device: "torch.device | str", splits: Sequence[str] = SPLITS) -> Store:
    """The named splits of the store that `prepare` wrote to `folder`, on `device`; nothing else is read.

    A large images file was verified when it was made, and `robustfront verify` does it again; here its size
    and its header are checked. A small one is checked against the manifest's SHA-256 each time.
    Raises ArtefactError if a file is missing, truncated or altered.
    """
    from safetensors import SafetensorError, safe_open

    manifest = artefacts.read_json(folder / MANIFEST)
    path = folder / IMAGES
    remedy = f"delete {folder} and run `snakemake` again"
    if not path.is_file():
        raise ArtefactError(f"{path}: missing; {remedy}")
    damaged = ArtefactError(f"{path}: damaged or from another run than {MANIFEST} beside it; {remedy}")
    if not _is_whole(path, manifest):
        raise damaged
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            found = {
                name: Split(
                    *(file.get_tensor(f"{name}.{field}") for field in ("images", "labels", "indices"))
                )
                for name in splits
            }
    except SafetensorError as error:
        raise damaged from error
    return Store(**found, classes=manifest["classes"])


def _is_whole(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether an images file is that of the manifest, as far as it is looked at."""
    size, expected = path.stat().st_size, manifest.get("bytes", {}).get(IMAGES)
    if expected is not None and size > HASHED:
        return bool(size == expected)
    return artefacts.sha256(path) == checksums.recorded(manifest).get(IMAGES)


def _classes(raw: Raw, dataset: Dataset) -> int:
    """How many classes there are, once shapes and labels of both parts are known to fit each other."""
    test = raw.test or raw.train
    shape, channels = raw.train.images.shape[1:], len(dataset.normalisation.mean)
    if test.images.shape[1:] != shape:
        raise DataError(
            f"dataset {dataset.name}: training images are {shape}, test images {test.images.shape[1:]}; "
            "both need the same shape"
        )
    if shape[0] != channels:
        raise ConfigError(
            f"dataset {dataset.name}: normalisation has {channels} channels, the images have {shape[0]}"
        )
    given = np.unique(raw.train.labels)  # and not as many counts as the largest label says
    classes = min(int(given[-1]) + 1, len(given) + 10)
    absent = sorted({*range(classes), *np.unique(test.labels).tolist()} - {*given.tolist()})
    if absent:
        raise DataError(
            f"dataset {dataset.name}: labels must be 0..K-1, each with training images; the largest is "
            f"{given[-1]}, and there are none of {absent[:10]}"
        )
    return len(given)


def _splits(raw: Raw, dataset: Dataset) -> dict[str, np.ndarray]:
    """The arrays of the artefact by name."""
    try:
        indices = split(dataset.splits, raw.train.labels, None if raw.test is None else raw.test.labels)
        arrays: dict[str, np.ndarray] = {}
        for name in SPLITS:
            official = name == "test" and indices.official_test
            part = raw.test if official and raw.test is not None else raw.train
            chosen = getattr(indices, name)
            arrays[f"{name}.images"] = part.images.take(chosen, axis=0)
            arrays[f"{name}.labels"] = part.labels.take(chosen)
            arrays[f"{name}.indices"] = chosen
        _check_classes(arrays, raw.train.labels, dataset.splits)
    except ConfigError as error:
        raise ConfigError(f"dataset {dataset.name}: {error}") from None
    return arrays


def _check_classes(arrays: dict[str, np.ndarray], labels: np.ndarray, splits: Splits) -> None:
    """ConfigError if a split of images with `labels` (N,) lacks a class of which it should have some."""
    held_out = () if splits.test == "official" else (("test", "held_out"),)
    for name, key in (*held_out, ("train", "rule"), ("validation", "rule")):
        found = arrays[f"{name}.labels"]
        share = np.bincount(labels) * (len(found) / len(labels))
        lacking = np.flatnonzero((np.bincount(found, minlength=len(share)) == 0) & (share >= NOTABLE))
        if lacking.size:
            raise ConfigError(
                f"splits.{key} = '{getattr(splits, key)}': none of the {len(found)} {name} images is of "
                f"class {', '.join(map(str, lacking[:10]))}; set it to 'stratified'"
            )


def _save(arrays: dict[str, np.ndarray], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays, path)
    except SafetensorError as error:  # a full disk; atomic_write turns it into the message for the user
        number = re.search(r"os error (\d+)", str(error))
        raise (OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(error)) from error
