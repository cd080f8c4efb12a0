"""Locks between processes: the kernel's, or a file that is there meanwhile where a file system has none."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock

PATIENCE = 1.0
"""Seconds for which who wants a lock tries at least: `is_held` takes one for an instant."""


def lock_at(path: Path) -> BaseFileLock:
    """The lock that lies at `path`, in a folder that is there; not taken yet.

    The kernel frees it however its process ends. Some Lustre and NFS file systems cannot lock for it: there
    it is a file with process and machine, made if it is not there and removed in the end. What a killed
    process left of it is taken over on the same machine, and has to be deleted from another one.
    OSError where nothing can be made in the folder.
    """
    return FileLock(path) if _has_flock(path.parent) else SoftFileLock(path)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """One process after another is in the body, if the lock at `path` can be had; else whoever comes.

    For what does no harm if it is done twice at a time.
    """
    with ExitStack() as held:
        with suppress(OSError):
            held.enter_context(lock_at(path))
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the lock at `path`; also where only its user may know.

    Makes and changes nothing, and can be asked of a lock of another user.
    """
    try:
        with path.open("rb") as file:
            if known := _maker(file.read()):
                return _is_alive(*known)
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.path.exists(path)
    return False


def holder(path: Path) -> str:
    """Whose the lock at `path` is: "another process", or that of another user; without flock, which one."""
    try:
        user, known = path.stat().st_uid, _maker(path.read_bytes())
    except OSError:
        return "another process"
    who = "another process" if user == os.getuid() else f"a process of {owner(path)}"
    return f"{who} ({known[0]} on {known[1]}; delete the file if there is none)" if known else who


def owner(path: Path) -> str:
    """Whose a file is: "user alice", or by number where no name is known."""
    try:
        return f"user {path.owner()}"
    except KeyError:
        return f"user {path.stat().st_uid}"


def _has_flock(folder: Path) -> bool:
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _maker(content: bytes) -> tuple[int, str] | None:
    """Process and machine that a lock without flock has in its file; None for one of the kernel's."""
    process, _, rest = content.decode(errors="replace").partition("\n")
    return (int(process), rest.partition("\n")[0]) if process.isdecimal() else None


def _is_alive(process: int, machine: str) -> bool:
    """True, too, of another machine, of which nobody here knows."""
    if machine != socket.gethostname():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
