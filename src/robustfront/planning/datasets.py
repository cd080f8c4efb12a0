"""What is known of a data set: before it is there by its config, then by what was made of it."""

from dataclasses import dataclass
from pathlib import Path

from robustfront.artefacts import Layout, read_json
from robustfront.config.datasets.base import Dataset, Shape
from robustfront.config.evaluations import SplitName
from robustfront.config.identity import dataset_id
from robustfront.errors import ArtefactError, ConfigError


@dataclass(frozen=True)
class Facts:
    """Of a data set's images; None where that depends on files of the user's own, which nobody has read yet.

    `rows`: their height in pixels; `images`: how many each split has.
    """

    classes: int | None
    rows: int | None
    images: dict[SplitName, int | None]

    @property
    def are_complete(self) -> bool:
        return None not in (self.classes, self.rows, *self.images.values())


def facts(dataset: Dataset, results: Path | None) -> Facts:
    """What a prepared data set in the folder `results` has, else what its config says."""
    splits: tuple[SplitName, ...] = ("train", "validation", "test")
    if results is not None:
        try:
            found = read_json(Layout(results).dataset(dataset_id(dataset)) / "manifest.json")
            counts: dict[SplitName, int | None] = {
                name: sum(found["images_per_class"][name]) for name in splits
            }
            return Facts(found["classes"], found["image_shape"][1], counts)
        except (ArtefactError, LookupError, TypeError):
            pass  # it is not there, or `robustfront verify` tells
    shape = dataset.shape
    images = {name: split_images(dataset, name) for name in splits}
    return Facts(shape.classes if shape else None, shape.size if shape else None, images)


def train_images(dataset: Dataset) -> int | None:
    """How many images an epoch sees; None where that depends on files of the user's own."""
    splits, official = dataset.splits, _official(dataset)
    if splits.train is not None or official is None:
        return splits.train
    return official.train - splits.validation - _held_out(dataset)


def test_images(dataset: Dataset) -> int | None:
    """How many images an evaluation sees; None where that depends on files of the user's own."""
    splits, official = dataset.splits, _official(dataset)
    count = _held_out(dataset) or (official.test if official else None)
    return count if count is None else min(count, splits.test_limit or count)


def split_images(dataset: Dataset, split: SplitName) -> int | None:
    """How many images a split has; None where that depends on files of the user's own."""
    if split == "validation":
        return dataset.splits.validation
    return train_images(dataset) if split == "train" else test_images(dataset)


def check(dataset: Dataset, where: str) -> None:
    """ConfigError if the config cannot fit the data. `where`: its file and key."""
    if dataset.of_the_user and dataset.path is None:
        raise ConfigError(f"{where}.path: missing; source {dataset.source} needs the file with your images")
    if dataset.come_with is not None and dataset.path is not None:
        raise ConfigError(f"{where}.path: {dataset.source} come with {dataset.come_with}; remove it")
    if dataset.checksums is not None and dataset.path is None:
        raise ConfigError(f"{where}.checksums: they are for your own files; give their folder as path")
    shape, channels = dataset.shape, dataset.channels
    if shape is not None and channels != shape.channels:
        raise ConfigError(
            f"{where}.normalisation: has {channels} channel(s), {dataset.source} images have {shape.channels}"
        )
    official = _official(dataset)
    if official is not None:
        _check_splits(dataset, official, f"{where}.splits")


def _check_splits(dataset: Dataset, official: Shape, where: str) -> None:
    splits, held_out = dataset.splits, _held_out(dataset)
    if not official.test and not held_out:
        raise ConfigError(
            f"{where}.test: {dataset.source} has no official test part; "
            "write how many of the last images to hold out as test"
        )
    if official.train < held_out + splits.validation + (splits.train or 1):
        raise ConfigError(
            f"{where}: {dataset.source} has {official.train} training images, too few for {held_out} test + "
            f"{splits.validation} validation + {splits.train or 'any'} training images"
        )


def _official(dataset: Dataset) -> Shape | None:
    """Sizes, unless the files are the user's: then only they know."""
    return dataset.shape if dataset.checksums is None else None


def _held_out(dataset: Dataset) -> int:
    """How many training images serve as test."""
    return dataset.splits.test if isinstance(dataset.splits.test, int) else 0
