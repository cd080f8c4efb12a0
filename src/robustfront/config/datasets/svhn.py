"""SVHN cropped digits (Netzer et al. 2011)."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, File, Shape, Source, datasets

OFFICIAL = Source(
    mirrors=("http://ufldl.stanford.edu/housenumbers/",),
    files=(
        File(
            "train_32x32.mat",
            "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            182_040_794,
            "train",
        ),
        File(
            "test_32x32.mat",
            "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            64_275_384,
            "test",
        ),
    ),
)


@datasets.register
class SVHN(Dataset):
    read_by: ClassVar[str] = "robustfront.data.readers.svhn:read"
    shape: ClassVar[Shape | None] = Shape(3, 32, 10, 73257, 26032)
    official: ClassVar[Source | None] = OFFICIAL

    source: Literal["svhn"] = "svhn"
