"""Where every step's files lie, and how they are written so that a reader never sees half of one."""

import fcntl
import glob
import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustfront.errors import ArtefactError

EVALUATIONS = "evaluations"
"""All evaluations of a run are one job, and have one place for what is unfinished."""

FAILURE = "failure.json"
"""In a run's folder: what its last job said that did not end well."""

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[a-z]+)?")


@dataclass(frozen=True)
class Layout:
    """The folders of a project. Ids are directory names and contain the hash of the config they stand for."""

    results: Path = Path("results")
    checkpoints: Path = Path("checkpoints")

    def dataset(self, dataset_id: str) -> Path:
        return self.results / "datasets" / dataset_id

    def run(self, run_id: str) -> Path:
        return self.results / "runs" / run_id

    def projector(self, projector_id: str) -> Path:
        return self.results / "projectors" / projector_id

    def evaluation(self, run_id: str, evaluation_id: str) -> Path:
        """Path without suffix: `.parquet` holds the rows, `.safetensors` some x', `.json` the aggregates."""
        return self.run(run_id) / "eval" / evaluation_id

    def failure(self, run_id: str) -> Path:
        """What the last job of a run said that did not end well; gone when it has."""
        return self.run(run_id) / FAILURE

    def analysis(self, run_id: str, analysis_id: str) -> Path:
        """Path without suffix: `.safetensors` holds the arrays, `.json` the facts."""
        return self.run(run_id) / "analysis" / analysis_id

    def checkpoint(self, run_id: str) -> Path:
        return self.checkpoints / run_id

    def unfinished(self, run_id: str, job_id: str) -> Path:
        """What an analysis of a run, or its `evaluations`, has computed so far: until it is finished."""
        return self.checkpoints / f"{run_id}-{job_id}"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path in `path`'s folder; on success it is synced and renamed to `path`.

    If the body raises, or the disk is full, the temporary file is removed and an older `path` is untouched.
    What a killed process left of the same file is removed too: a living one holds a lock on its own. Where
    the file system has no locks it stays.
    """
    temporary: Path | None = None
    handle: int | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        with suppress(OSError):  # it tidies; whether a file is written is not its matter
            fcntl.flock(handle, fcntl.LOCK_EX)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise ArtefactError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "free the disk or fix the permissions, then start again"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def leftovers(folder: Path) -> list[Path]:
    """Temporary files of `atomic_write` below `folder`: being written, or left by a killed process."""
    return sorted(path for path in folder.rglob(".*.*") if _TEMPORARY.fullmatch(path.name) and path.is_file())


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with suppress(OSError), leftover.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def require_writable(folder: Path) -> None:
    """ArtefactError, before hours of work, if `folder` or what it would be made in cannot be written to."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not os.access(existing, os.W_OK):
        raise ArtefactError(f"{existing}: cannot be written to; make it writable, then start again")


def date_back(folder: Path) -> None:
    """Gives the files of `folder`, and links to files, that a clock running ahead dated a time in the past.

    Snakemake fails a finished job, and removes what it made, if an input is newer by then, be it `ancient` or
    not. ArtefactError where that is not allowed.
    """
    now = time.time()
    for path in folder.rglob("*"):
        for target in (True, False) if path.is_symlink() else (True,):
            try:
                found = path.stat(follow_symlinks=target)
                if not stat.S_ISDIR(found.st_mode) and found.st_mtime >= now:
                    os.utime(path, (now - 1, now - 1), follow_symlinks=target)
            except FileNotFoundError:
                pass  # gone by now, or a link to nothing
            except OSError as error:
                raise ArtefactError(
                    f"{path}: its time lies in the future and cannot be set ({error.strerror}); "
                    "make the folder writable"
                ) from None


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with sorted keys and a final newline. ValueError for NaN and infinity."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON artefact. ArtefactError if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; run `snakemake` to make it") from None
    except ValueError as error:  # not JSON, or not even UTF-8
        raise ArtefactError(f"{path}: damaged ({error}); delete it and run `snakemake` again") from None
    except OSError as error:
        raise ArtefactError(
            f"{path}: cannot be read: {error.strerror or error}; fix its permissions"
        ) from error


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
