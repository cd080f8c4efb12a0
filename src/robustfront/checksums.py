"""Records: the JSON artefacts. Each vouches for the files beside it, and for itself, by SHA-256."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robustfront.artefacts import read_json, sha256, write_json
from robustfront.errors import ArtefactError

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


def read_record(path: Path, *files: str) -> Any:
    """The content of a record. ArtefactError if it or one of the `files` beside it is missing or damaged."""
    record = read_json(path)
    for name in (*files, path.name):
        if name in files and not (path.parent / name).is_file():
            raise ArtefactError(f"{path.parent / name}: missing; run `snakemake` to make it")
        if _differs(path, record, name):
            raise ArtefactError(
                f"{path.parent / name}: damaged (its checksum is not the one in {path.name}); "
                "delete it and run `snakemake` again"
            )
    return record


def recorded(record: Mapping[str, Any]) -> dict[str, str]:
    """File -> SHA-256, as the record has it; empty if it has none."""
    older = {name: record[key] for key, name in _BEFORE.items() if key in record}
    return older | record.get(KEY, {})


def amend(path: Path, **facts: Any) -> None:
    """Adds facts to a record, or replaces them. What it says of the files beside it stays, unread.

    ArtefactError if it is missing, damaged, or cannot be written.
    """
    record = read_record(path)
    files = {name: found for name, found in recorded(record).items() if name != path.name}
    amended = {**record, **facts, KEY: files}
    write_json(path, {**amended, KEY: {**files, path.name: _own(amended, path.name)}})


def vouched(record: Path, file: Path) -> str:
    """The SHA-256 that a record has of a file beside it.

    ArtefactError if the record is missing or damaged, or has none.
    """
    found = recorded(read_record(record)).get(file.name)
    if found is None:
        raise ArtefactError(f"{record}: has no checksum of {file.name}; delete it and run `snakemake` again")
    return found


def made_from(results: Path, files: Iterable[Path]) -> dict[str, str]:
    """Path below `results` -> SHA-256 of the artefacts that another is made from.

    Image stores are large and verified when they are made: for them it is what their record says.
    """
    return {file.relative_to(results).as_posix(): _of_input(file) for file in files}


def differing(path: Path, record: Mapping[str, Any]) -> list[str]:
    """Of the files that the record at `path` vouches for, those that are missing or have another content."""
    return [name for name in sorted(recorded(record)) if _differs(path, record, name)]


def _differs(path: Path, record: Mapping[str, Any], name: str) -> bool:
    """False, too, for a file that the record says nothing about."""
    try:
        expected = recorded(record).get(name)
        found = _own(record, name) if name == path.name and expected else _of_file(path.parent / name)
    except (AttributeError, TypeError, ValueError):  # the record is not even of the right form
        return True
    return expected not in (None, found)


def _own(record: Mapping[str, Any], name: str) -> str:
    others = {key: value for key, value in record[KEY].items() if key != name}
    text = json.dumps({**record, KEY: others}, allow_nan=False)
    # Through JSON and back: what is hashed is what a reader will see.
    text = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _of_input(path: Path) -> str:
    record = path.parent / "manifest.json"
    if path.name == "images.safetensors" and record.is_file():
        return recorded(read_json(record)).get(path.name) or sha256(path)
    return sha256(path)


def _of_file(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None
