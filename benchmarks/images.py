"""Real CIFAR-10 images where there are some, noise otherwise."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from robustfront.config.datasets import Dataset
from robustfront.config.datasets.cifar10 import CIFAR10
from robustfront.config.datasets.npz import NPZ
from robustfront.config.images import Normalisation, Splits
from robustfront.data.readers import Part, cifar10, read

ROOT = Path(__file__).resolve().parents[1]
BATCHES = "cifar-10-batches-py"
UNPACKED = ROOT / ".benchmarks" / "images"


def load(folder: Path | None, count: int) -> tuple[Tensor, Tensor, str]:
    """`count` images uint8 (N, 3, 32, 32), labels int64 (N,), and a sentence that says what they are.

    They come from `folder` (cifar-10-python.tar.gz or cifar-10-batches-py/, or an .npz file of arrays), else
    from data/raw, else from a folder shared/data beside the checkout.
    """
    if folder and folder.suffix == ".npz":
        train = _train(NPZ, {folder.name: folder})
        return torch.from_numpy(train.images[-count:]), torch.from_numpy(train.labels[-count:]), str(folder)
    for place in [folder] if folder else [ROOT / "data" / "raw" / "cifar10", _shared()]:
        if place is None:
            continue
        files = {
            path.name: path
            for path in (
                place / cifar10.ARCHIVE,
                *(place / BATCHES / name for name in (*cifar10.TRAIN, cifar10.TEST)),
            )
            if path.is_file()
        }
        if files:
            train = _train(CIFAR10, files)
            images, labels = train.images[-count:].copy(), train.labels[-count:].copy()
            return torch.from_numpy(images), torch.from_numpy(labels), "CIFAR-10 training images"
    if folder:
        raise SystemExit(
            f"{folder}: holds neither {cifar10.ARCHIVE} nor {BATCHES}/; leave --images out for noise"
        )
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return images, torch.arange(count) % 10, "random images (no CIFAR-10 was found: `--images FOLDER`)"


def _train(source: type[Dataset], files: Mapping[str, Path]) -> Part:
    """The official training part of images of three channels."""
    colours = Normalisation(mean=(0.5,) * 3, std=(0.5,) * 3)
    return read(source(name="images", splits=Splits(validation=1), normalisation=colours), files).train


def _shared() -> Path | None:
    """The shared images in CIFAR-10's own format, unpacked once."""
    script = ROOT.parent / "shared" / "data" / "unpack.py"
    if not (UNPACKED / BATCHES / "batches.meta").is_file():
        if not script.is_file():
            return None
        subprocess.run([sys.executable, script, UNPACKED], check=True)
    return UNPACKED
