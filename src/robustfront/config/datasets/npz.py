"""A user's own images in a file of numpy arrays."""

from typing import ClassVar, Literal

from robustfront.config.datasets.base import Dataset, datasets


@datasets.register
class NPZ(Dataset):
    read_by: ClassVar[str] = "robustfront.data.readers.npz:read"

    source: Literal["npz"] = "npz"
