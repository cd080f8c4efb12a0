"""CIFAR-10 (Krizhevsky 2009)."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, File, Shape, Source, datasets

OFFICIAL = Source(
    mirrors=("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
    files=(
        File(
            "cifar-10-python.tar.gz",
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            170_498_071,
        ),
    ),
    unpacked=(
        File("data_batch_1", "c99cafc152244af753f735de768cd75f", 31_035_704, "train"),
        File("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec", 31_035_320, "train"),
        File("data_batch_3", "54ebc095f3ab1f0389bbae665268c751", 31_035_999, "train"),
        File("data_batch_4", "634d18415352ddfa80567beed471001a", 31_035_696, "train"),
        File("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb", 31_035_623, "train"),
        File("test_batch", "40351d587109b95175f43aff81a1287e", 31_035_526, "test"),
    ),
)


@datasets.register
class CIFAR10(Dataset):
    read_by: ClassVar[str] = "robustfront.data.readers.cifar10:read"
    shape: ClassVar[Shape | None] = Shape(3, 32, 10, 50000, 10000)
    official: ClassVar[Source | None] = OFFICIAL

    source: Literal["cifar10"] = "cifar10"
