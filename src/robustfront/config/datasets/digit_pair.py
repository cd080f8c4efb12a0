"""Ones and twos at 32x32 pixels: a problem of two classes on which linear models are good."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, Shape, Source, datasets
from robustfront.config.datasets.mnist import OFFICIAL

SIZE = 32
"""Pixels along a side, by bilinear interpolation."""


@datasets.register
class MNISTPair(Dataset):
    """The ones (class 0) and twos (class 1) of MNIST."""

    read_by: ClassVar[str] = "robustfront.data.readers.digit_pair:mnist_pair"
    shape: ClassVar[Shape | None] = Shape(1, SIZE, 2, 12700, 2167)
    official: ClassVar[Source | None] = OFFICIAL

    source: Literal["mnist-pair"] = "mnist-pair"


@datasets.register
class DigitsPair(Dataset):
    """The same of the 8x8 digits inside scikit-learn."""

    read_by: ClassVar[str] = "robustfront.data.readers.digit_pair:digits_pair"
    shape: ClassVar[Shape | None] = Shape(1, SIZE, 2, 359, 0)
    come_with: ClassVar[str | None] = "scikit-learn"

    source: Literal["digits-pair"] = "digits-pair"
