"""Records: the JSON artefacts. Each vouches for the files beside it, and for itself, by SHA-256."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robustfront.artefacts import sha256, write_json

KEY = "checksums"
_BEFORE = {"weights_sha256": "model.safetensors", "images_sha256": "images.safetensors"}
"""The keys of records that were written before every artefact had a checksum."""


def write_record(path: Path, content: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Writes `content` as JSON with the key `checksums`: SHA-256 by path, of `files` and of the record.

    Paths are relative to the record's folder. The record's own checksum is that of its content without it.
    Written last, the record also says that `files` are complete.
    """
    found = {file.relative_to(path.parent).as_posix(): sha256(file) for file in files}
    record = {**content, KEY: found}
    write_json(path, {**record, KEY: {**found, path.name: _own(record, path.name)}})


def recorded(record: Mapping[str, Any]) -> dict[str, str]:
    """File -> SHA-256, as the record has it; empty if it has none."""
    older = {name: record[key] for key, name in _BEFORE.items() if key in record}
    return older | record.get(KEY, {})


def made_from(results: Path, files: Iterable[Path]) -> dict[str, str]:
    """Path below `results` -> SHA-256 of the artefacts that another is made from."""
    return {file.relative_to(results).as_posix(): sha256(file) for file in files}


def differing(path: Path, record: Mapping[str, Any]) -> list[str]:
    """Of the files that the record at `path` vouches for, those that are missing or have another content."""
    return [
        name
        for name, expected in sorted(recorded(record).items())
        if expected != (_own(record, name) if name == path.name else _of_file(path.parent / name))
    ]


def _own(record: Mapping[str, Any], name: str) -> str:
    others = {key: value for key, value in record[KEY].items() if key != name}
    text = json.dumps({**record, KEY: others}, allow_nan=False)
    # Through JSON and back: what is hashed is what a reader will see.
    text = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _of_file(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None
