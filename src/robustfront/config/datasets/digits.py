"""The 8x8 digits inside scikit-learn."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, Shape, datasets


@datasets.register
class Digits(Dataset):
    read_by: ClassVar[str] = "robustfront.data.readers.digits:read"
    shape: ClassVar[Shape | None] = Shape(1, 8, 10, 1797, 0)
    come_with: ClassVar[str | None] = "scikit-learn"

    source: Literal["digits"] = "digits"
