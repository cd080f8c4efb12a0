"""The official files of each data set: where they lie on the web, how large they are, and their checksums.

CIFAR-10 (Krizhevsky 2009), SVHN cropped digits (Netzer et al. 2011), MNIST (LeCun et al. 1998). A `Source`
is plain data: a test or a private mirror passes its own.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robustfront.errors import ConfigError

ALGORITHMS = {32: "md5", 64: "sha256"}
"""Number of hex digits -> hash function."""


@dataclass(frozen=True)
class File:
    """A file: name, hex md5 or sha256 of its content, size in bytes, and which official part it holds."""

    name: str
    checksum: str
    size: int
    part: Literal["train", "test", "both"] = "both"


@dataclass(frozen=True)
class Source:
    """A data set on the web. `mirrors` are address prefixes, tried in order; `files` is what they offer.

    `unpacked` are the members of a downloaded archive, for folders that hold them instead of the archive.
    """

    mirrors: tuple[str, ...]
    files: tuple[File, ...]
    unpacked: tuple[File, ...] = ()

    def needed(self, folder: Path, *, test: bool) -> tuple[File, ...]:
        """The files to read from `folder`; those with nothing but the official test part only if `test`."""
        packed = any((folder / file.name).exists() for file in self.files)
        loose = any((folder / file.name).exists() for file in self.unpacked)
        files = self.unpacked if loose and not packed else self.files
        return tuple(file for file in files if test or file.part != "test")


def algorithm(checksum: str) -> str:
    """The hash function a checksum was made with, told by its length. ConfigError if it is none we know."""
    if len(checksum) not in ALGORITHMS or set(checksum.lower()) - set("0123456789abcdef"):
        raise ConfigError(f"checksum '{checksum}': write 64 hex digits (sha256) or 32 (md5)")
    return ALGORITHMS[len(checksum)]


def checksum(path: Path, algorithm: str) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


OFFICIAL: dict[str, Source] = {
    "cifar10": Source(
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
    ),
    "svhn": Source(
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
    ),
    "mnist": Source(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        files=(
            File(
                "train-images-idx3-ubyte.gz",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                9_912_422,
                "train",
            ),
            File(
                "train-labels-idx1-ubyte.gz",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                28_881,
                "train",
            ),
            File(
                "t10k-images-idx3-ubyte.gz",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                1_648_877,
                "test",
            ),
            File(
                "t10k-labels-idx1-ubyte.gz",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                4_542,
                "test",
            ),
        ),
    ),
}
