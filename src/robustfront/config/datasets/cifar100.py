"""CIFAR-100 (Krizhevsky 2009)."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, File, Shape, Source, datasets

OFFICIAL = Source(
    mirrors=("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
    files=(
        File(
            "cifar-100-python.tar.gz",
            "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            169_001_437,
        ),
    ),
    unpacked=(
        File("train", "16019d7e3df5f24257cddd939b257f8d", 155_249_918, "train"),
        File("test", "f0ef6b0ae62326f3e7ffdfab6717acfc", 31_049_707, "test"),
    ),
)


@datasets.register
class CIFAR100(Dataset):
    read_by: ClassVar[str] = "robustfront.data.readers.cifar100:read"
    shape: ClassVar[Shape | None] = Shape(3, 32, 100, 50000, 10000)
    official: ClassVar[Source | None] = OFFICIAL

    source: Literal["cifar100"] = "cifar100"
