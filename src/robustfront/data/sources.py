"""Checksums of the files that data sets are made from."""

import hashlib
from pathlib import Path

from robustfront.errors import ConfigError

ALGORITHMS = {32: "md5", 64: "sha256"}
"""Number of hex digits -> hash function."""


def algorithm(checksum: str) -> str:
    """The hash function a checksum was made with, told by its length. ConfigError if it is none we know."""
    if len(checksum) not in ALGORITHMS or set(checksum.lower()) - set("0123456789abcdef"):
        raise ConfigError(f"checksum '{checksum}': write 64 hex digits (sha256) or 32 (md5)")
    return ALGORITHMS[len(checksum)]


def checksum(path: Path, algorithm: str) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
