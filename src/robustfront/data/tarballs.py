"""Files inside a gzipped tar archive, read in memory: links and folders in it mean nothing."""

import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from robustfront.errors import DataError


class Member(NamedTuple):
    """`name`: without folders; `path`: as it stands in the archive."""

    name: str
    path: str
    content: bytes


def members(archive: Path, wanted: Collection[str]) -> Iterator[Member]:
    """The files called so, in their order. DataError if the archive is damaged, as far as it is read."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in wanted:
                    with cast(IO[bytes], opened.extractfile(member)) as file:
                        content = file.read()
                    yield Member(name, member.name, content)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive}: damaged archive ({error}); delete it and start again") from error
