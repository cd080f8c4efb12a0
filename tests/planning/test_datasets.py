from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustfront.config.datasets import datasets
from robustfront.config.schema import Dataset
from robustfront.data.splits import split
from robustfront.errors import ConfigError
from robustfront.planning.datasets import check, test_images, train_images

test_images.__test__ = False  # type: ignore[attr-defined]  # a function of ours, not a test


def dataset(source: str = "mnist", splits: Any = None, channels: int = 1, **fields: Any) -> Dataset:
    content = {
        "name": "d",
        "source": source,
        "splits": splits or {"validation": 5000},
        "normalisation": {"mean": [0.5] * channels, "std": [0.5] * channels},
    }
    return Dataset.model_validate(content | fields)


@pytest.mark.parametrize(
    "splits",
    [
        {"validation": 5000},
        {"validation": 5000, "test_limit": 100},
        {"validation": 10, "train": 100},
        {"validation": 10, "test": 300},
        {"validation": 10, "test": 300, "test_limit": 20, "train": 7},
    ],
)
@pytest.mark.parametrize("source", ["mnist", "cifar10", "svhn"])
def test_sizes_are_those_of_the_real_splits(source: str, splits: dict[str, int]) -> None:
    config = dataset(source, splits)
    labels = np.arange(datasets[source].shape.train) % 10
    indices = split(config.splits, labels, np.arange(datasets[source].shape.test) % 10)
    assert train_images(config) == len(indices.train)
    assert test_images(config) == len(indices.test)


def test_shape_of_the_digits_is_that_of_the_real_ones() -> None:
    from sklearn.datasets import load_digits

    images = load_digits().images
    shape = datasets["digits"].shape
    assert (shape.train, shape.size, shape.size) == images.shape
    assert shape.test == 0


def test_sizes_of_own_files_are_unknown_unless_the_splits_say_them() -> None:
    own = {"path": "x", "checksums": {"x": "0" * 64}}
    assert train_images(dataset("npz", path="x.npz")) is None
    assert test_images(dataset("npz", path="x.npz")) is None
    assert test_images(dataset("npz", {"validation": 5, "test_limit": 9}, path="x.npz")) is None
    assert train_images(dataset("npz", {"validation": 5, "train": 7}, path="x.npz")) == 7
    assert train_images(dataset(**own)) is None
    assert test_images(dataset(splits={"validation": 5, "test": 9}, **own)) == 9
    assert train_images(dataset(path="x")) == 55000  # the official files in a folder of the user's


@pytest.mark.parametrize("splits", [{"validation": 59999}, {"validation": 10, "test": 59989}])
def test_what_just_fits_is_accepted(splits: dict[str, int]) -> None:
    check(dataset(splits=splits), "f: datasets.d")
    assert train_images(dataset(splits=splits)) == 1
    with pytest.raises(
        ConfigError, match=r"^f: datasets\.d\.splits: mnist has 60000 training images, too few"
    ):
        check(dataset(splits=splits | {"train": 2}), "f: datasets.d")


def test_own_files_may_have_any_size(tmp_path: Path) -> None:
    check(dataset("npz", {"validation": 10**6}, channels=7, path=str(tmp_path)), "")
    check(dataset(splits={"validation": 10**6}, path="x", checksums={"x": "0" * 64}), "")
