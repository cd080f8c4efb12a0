"""What every data set is told, and what a source says of its images before they are there."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from robustfront.config.images import Augmentation, CropFlip, Normalisation, Splits
from robustfront.config.quantities import Name
from robustfront.config.registry import Kind, Kinds


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


@dataclass(frozen=True)
class Shape:
    """Channels, side in pixels, classes, and the sizes of the official parts of a data set."""

    channels: int
    size: int
    classes: int
    train: int
    test: int


datasets: Kinds["Dataset"] = Kinds("source", key="source")


class Dataset(Kind):
    """A data set as a run sees it: where the images come from, how they are split and augmented.

    Base of all sources. A subclass says by which name it is known: `source: Literal["mine"] = "mine"`. Its
    images are `official` files, or `come_with` a package, or else are the user's own, at `path`.
    """

    known: ClassVar[Kinds["Dataset"]] = datasets
    gone: ClassVar[frozenset[str]] = frozenset({"published_as"})
    read_by: ClassVar[str]
    """`module:function` of (data set, file name -> path) -> `data.readers.Raw`."""
    shape: ClassVar[Shape | None] = None
    official: ClassVar[Source | None] = None
    come_with: ClassVar[str | None] = None

    name: Name = Field(description="the key in params.yaml; part of every run's directory name")
    source: str
    path: str | None = Field(
        None,
        description="of your own images: the file or folder (with checksums it may be moved without becoming "
        "another data set); otherwise a folder of original-format files to use instead of data/raw",
    )
    checksums: dict[str, str] | None = Field(
        None, description="file name -> sha256 (or md5) of hex digits; replaces the official list"
    )
    splits: Splits
    normalisation: Normalisation
    augmentation: Augmentation = CropFlip()

    @property
    def named(self) -> tuple[str, ...]:
        return (self.read_by,)

    @property
    def of_the_user(self) -> bool:
        """Whether only the user has the files."""
        return self.official is None and self.come_with is None

    @property
    def channels(self) -> int:
        """How many channels its images are to have."""
        return len(self.normalisation.mean)
