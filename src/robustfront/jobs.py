"""What every long job needs: to be the only one at its work, and to end well when told to stop."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import Timeout

from robustfront import locks
from robustfront.artefacts import Layout, read_json, write_json
from robustfront.errors import (
    ArtefactError,
    Interrupted,
    NoDevice,
    ProcessLost,
    RobustfrontError,
    RunLocked,
    TrainingDiverged,
)


@contextmanager
def workplace(folder: Path, job: str) -> Iterator[None]:
    """`folder` is this process's alone meanwhile; removed if the body succeeds, kept with its content if not.

    The lock lies in the folder. Removing it while it is held is safe: filelock refuses a lock on a file that
    has no name any more. RunLocked if another process holds it; ArtefactError where it cannot be made.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = locks.lock_at(path)
        lock.acquire(timeout=locks.PATIENCE)
    except (Timeout, OSError) as error:
        if isinstance(error, Timeout) or locks.is_held(path):
            raise RunLocked(
                f"{job}: {locks.holder(path)} is at it (it holds {path}); wait for that process or stop it"
            ) from None
        remedy = "make the folder writable"
        if os.path.exists(path) and os.access(folder, os.W_OK):
            remedy = f"it was left by {locks.owner(path)}, delete it"
        raise ArtefactError(f"{path}: cannot be locked: {error.strerror or error}; {remedy}") from None
    try:
        yield
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        if [*folder.glob("*")] == [path]:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


@contextmanager
def remembered(layout: Layout, run_id: str, verb: str) -> Iterator[None]:
    """If the body raises, `failure.json` of the run says what the report will: that it diverged, or failed.

    It goes when the same verb succeeds, or its training. Being stopped, finding another process at work, or
    no such device, is no failure of the run; where its training failed, what comes after it says no more.
    """
    path = layout.failure(run_id)
    try:
        yield
    except (Interrupted, RunLocked, ProcessLost, NoDevice):
        raise
    except Exception as error:
        message = str(error) if isinstance(error, RobustfrontError) else f"{type(error).__name__}: {error}"
        state = "diverged" if isinstance(error, TrainingDiverged) else "failed"
        if verb == "train" or _failed_verb(path) != "train":
            with suppress(ArtefactError):  # a full disk has been told of already
                write_json(path, {"verb": verb, "state": state, "message": message})
        raise
    if verb == "train" or _failed_verb(path) in (verb, None):
        path.unlink(missing_ok=True)


def _failed_verb(path: Path) -> str | None:
    """Which verb a `failure.json` is about; None if there is none, or it is damaged."""
    try:
        return str(read_json(path)["verb"])
    except (ArtefactError, LookupError, TypeError):
        return None


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that is non-empty once SIGTERM or SIGINT has come; a second one acts as usual."""
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, previous[signal.Signals(number)])

    for watched in (signal.SIGTERM, signal.SIGINT):
        previous[watched] = signal.signal(watched, note)
    try:
        yield received
    finally:
        for watched, handler in previous.items():
            signal.signal(watched, handler)
