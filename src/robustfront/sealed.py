"""Safetensors files that carry their own checksum, so that a flipped bit is an error and never a number.

The header's one metadata entry, `robustfront`, is a JSON text of facts. Among them is the SHA-256 of the file
with that checksum's own digits written as zeros.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustfront.artefacts import atomic_write

BLANK = b"0" * 64
_SEAL = re.compile(rb'sha256\\": \\"([0-9a-f]{64})\\"')


def metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """What to give to safetensors' `save`, whose bytes `write` takes. One entry, as several have no order."""
    return {"robustfront": json.dumps({**facts, "sha256": BLANK.decode()})}


def write(path: Path, content: bytes) -> None:
    """Puts the checksum into a file made with `metadata` and writes it atomically."""
    seal = _SEAL.search(content, 0, _header_end(content))
    assert seal is not None, "the file was made with `metadata`"
    digest = hashlib.sha256(content).hexdigest().encode()
    with atomic_write(path) as temporary:
        temporary.write_bytes(content[: seal.start(1)] + digest + content[seal.end(1) :])


def read(path: Path) -> bytes:
    """The file's bytes. OSError if it cannot be read, ValueError if it is not what was written.

    A file without a checksum, from elsewhere, is taken as it is.
    """
    content = path.read_bytes()
    seal = _SEAL.search(content, 0, _header_end(content))
    if seal:
        whole = hashlib.sha256(content[: seal.start(1)] + BLANK)
        whole.update(memoryview(content)[seal.end(1) :])
        if whole.hexdigest().encode() != seal[1]:
            raise ValueError("its content is not what its checksum says")
    return content


def facts(content: bytes) -> dict[str, Any]:
    """The facts given to `metadata`. ValueError, KeyError or TypeError if there are none."""
    header = json.loads(content[8 : _header_end(content)])
    found: dict[str, Any] = json.loads(header["__metadata__"]["robustfront"])
    found.pop("sha256", None)
    return found


def _header_end(content: bytes) -> int:
    """A safetensors file begins with the length of its JSON header, little-endian, in 8 bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    if not 8 < end <= len(content):
        raise ValueError("it is not a whole safetensors file")
    return end
