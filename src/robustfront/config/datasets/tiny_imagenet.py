"""Tiny-ImageNet: 200 classes of ImageNet at 64x64 (Stanford CS231n, 2015)."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, File, Shape, Source, datasets

OFFICIAL = Source(
    mirrors=("http://cs231n.stanford.edu/",),
    files=(File("tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de", 248_100_043),),
)


@datasets.register
class TinyImageNet(Dataset):
    """Its labelled validation part is the test part here, as everywhere: those of its test have no labels."""

    read_by: ClassVar[str] = "robustfront.data.readers.tiny_imagenet:read"
    shape: ClassVar[Shape | None] = Shape(3, 64, 200, 100000, 10000)
    official: ClassVar[Source | None] = OFFICIAL

    source: Literal["tiny_imagenet"] = "tiny_imagenet"
