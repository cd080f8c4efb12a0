"""Real images in their original formats, unpacked once for all test processes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from robustfront.config.images import CropFlip, Normalisation, Splits
from robustfront.config.schema import Dataset


@pytest.fixture(scope="session")
def unpacked(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """What `unpack.py` of the shared data lays out: cifar-10-batches-py/, MNIST/raw/, svhn/."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent
    folder, done = base / "unpacked", base / "unpacked.done"
    with FileLock(base / "unpacked.lock"):
        if not done.exists():
            subprocess.run([sys.executable, shared_data / "unpack.py", folder], check=True)
            done.touch()
    return folder


@pytest.fixture
def dataset() -> Callable[..., Dataset]:
    """Makes a data set config from what differs from the digits; `channels` sets the normalisation."""

    def make(source: str = "digits", *, channels: int = 1, **fields: Any) -> Dataset:
        defaults: dict[str, Any] = {
            "name": "images",
            "source": source,
            "splits": Splits(validation=10, test=20),
            "normalisation": Normalisation(mean=(0.5,) * channels, std=(0.5,) * channels),
            "augmentation": CropFlip(),
        }
        return Dataset.model_validate(defaults | fields)

    return make
