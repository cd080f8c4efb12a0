"""CIFAR-10's images as they travel: lossless mosaics of 100 tiles a row, and a file of labels."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32


def unpacked(folder: Path) -> Path:
    """The .npz file of plain arrays that the mosaics in `folder` make; anything else as it is."""
    if not (folder / "labels.npz").is_file():
        return folder
    path = folder / "cifar10.npz"
    if not path.is_file():
        labels = np.load(folder / "labels.npz")
        names = [name for name in labels.files if (folder / f"{name}.webp").is_file()]
        tiles = {name: _tiles(folder / f"{name}.webp", len(labels[name])) for name in names}
        train = sorted(name for name in names if name.startswith("data_batch"))
        np.savez(
            path,
            x_train=np.concatenate([tiles[name] for name in train]),
            y_train=np.concatenate([labels[name] for name in train]).astype(np.int64),
            x_test=tiles["test_batch"],
            y_test=labels["test_batch"].astype(np.int64),
        )
    return path


def _tiles(path: Path, count: int) -> np.ndarray:
    """uint8 (count, 3, 32, 32)."""
    Image.MAX_IMAGE_PIXELS = None
    mosaic = np.asarray(Image.open(path).convert("RGB"))
    rows, columns = mosaic.shape[0] // SIDE, mosaic.shape[1] // SIDE
    tiles = mosaic.reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(tiles.reshape(-1, 3, SIDE, SIDE)[:count])
