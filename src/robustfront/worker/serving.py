"""The worker's loop: takes requests, forks, hands signals to jobs and their ends to clients.

It computes nothing and starts no thread, so that a fork is safe: no CUDA, no tensor operation.
"""

import contextlib
import gc
import json
import os
import re
import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import robustfront
from robustfront.worker.client import LENGTH, STATUS, is_mine
from robustfront.worker.preloading import preload

PATIENCE_SECONDS = 10.0
"""For a client to say what it wants; it sends all at once."""

_OWN_TO_A_JOB = re.compile("TMPDIR|TMP|TEMP|TEMPDIR|PWD|OLDPWD|SHLVL|_|.*_NUM_THREADS|.*_MAXIMUM_THREADS")
"""Variables that a shell or Snakemake sets for each job."""


@dataclass
class Request:
    """What a client asks for. `descriptors`: standard input, output and error, and its folder."""

    words: list[str]
    environment: dict[str, str]
    umask: int
    connection: socket.socket
    descriptors: list[int]


@dataclass(frozen=True, eq=False)
class _Job:
    """A forked job. `ended`: a descriptor that can be read from when it has."""

    pid: int
    ended: int
    connection: socket.socket


class Worker:
    """Forks a job per request until nothing can be read from `alive` any more, and all jobs have ended.

    `alive` is a pipe whose other end Snakemake holds: the kernel closes it however Snakemake ends. The jobs
    that are at work then are told to stop by SIGTERM.
    """

    def __init__(self, listening: socket.socket, alive: int) -> None:
        self._files = package_files()  # before any of them is imported on a client's behalf
        self._environment = decisive(os.environ)
        self._listening, self._alive = listening, alive
        self._jobs: set[_Job] = set()
        self._selector = selectors.DefaultSelector()
        self._watch(listening, self._accept)
        self._watch(alive, self._leave)

    def serve(self) -> Request | None:
        """Returns in each forked child, with its request; and, when it is over, None in the worker."""
        while self._selector.get_map():
            for key, _ in self._selector.select():
                if key.fd not in self._selector.get_map():
                    continue  # of a job that has ended meanwhile
                if (request := key.data()) is not None:
                    return request
        return None

    def _watch(self, file: int | socket.socket, act: Callable[[], Request | None]) -> None:
        self._selector.register(file, selectors.EVENT_READ, act)

    # ----------------------------------------------------------------------------------------- a new job
    def _accept(self) -> Request | None:
        """Forks for a client, or hangs up on it, and then it does without."""
        with contextlib.suppress(OSError):
            connection, _ = self._listening.accept()
            with contextlib.ExitStack() as refused:
                refused.callback(connection.close)
                if (request := _received(connection, refused)) is None or not self._may(request):
                    return None
                pid = _fork()
                refused.pop_all()
            if pid == 0:
                self._forget()
                return request
            self._add(_Job(pid, os.pidfd_open(pid), connection), request.descriptors)
        return None

    def _may(self, request: Request) -> bool:
        """Whether a fork is what the client would be by itself: of these files, in this environment."""
        return (
            package_files() == self._files
            and decisive(request.environment) == self._environment
            and preload(request.words)
        )

    def _add(self, job: _Job, descriptors: list[int]) -> None:
        """A job of which the worker keeps nothing but the connection to its client."""
        for descriptor in descriptors:
            os.close(descriptor)
        self._jobs.add(job)
        self._watch(job.connection, lambda: self._told(job))
        self._watch(job.ended, lambda: self._reap(job))

    def _forget(self) -> None:
        """In a child: closes what is the worker's."""
        self._selector.close()
        self._listening.close()
        for job in self._jobs:
            job.connection.close()
            os.close(job.ended)

    # ---------------------------------------------------------------------------------------- its end
    def _told(self, job: _Job) -> None:
        """A client handed signals on; or it is gone, killed, and the job goes the same way."""
        try:
            numbers = job.connection.recv(64)
        except OSError:
            numbers = b""
        if not numbers:
            self._selector.unregister(job.connection)
        for number in numbers or [signal.SIGKILL]:
            os.kill(job.pid, number)  # not waited for yet, so its number is its own

    def _reap(self, job: _Job) -> None:
        """A job has ended: its client is told how."""
        _, status = os.waitpid(job.pid, 0)
        for file in (job.connection, job.ended):
            with contextlib.suppress(KeyError):
                self._selector.unregister(file)
        with contextlib.suppress(OSError):
            job.connection.send(STATUS.pack(status))
        job.connection.close()
        os.close(job.ended)
        self._jobs.remove(job)

    def _leave(self) -> None:
        """Snakemake is gone."""
        for file in (self._listening, self._alive):
            self._selector.unregister(file)
        self._listening.close()
        for job in self._jobs:
            os.kill(job.pid, signal.SIGTERM)


def package_files() -> dict[str, tuple[int, int, int]]:
    """Path -> what changes if one of the package's files does."""
    found = {}
    for folder, folders, names in os.walk(Path(robustfront.__file__).parent):
        with contextlib.suppress(ValueError):
            folders.remove("__pycache__")
        for name in names:
            facts = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = facts.st_mtime_ns, facts.st_size, facts.st_ino
    return found


def decisive(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that must be the same: which of them a library reads when it is imported, who knows."""
    return {name: value for name, value in environment.items() if not _OWN_TO_A_JOB.fullmatch(name)}


def _received(connection: socket.socket, refused: contextlib.ExitStack) -> Request | None:
    """What the client wants, or None if it is another user's or does not say all of it.

    `refused` gets what must be closed then.
    """
    if not is_mine(connection):
        return None
    connection.settimeout(PATIENCE_SECONDS)
    head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 4, socket.MSG_CMSG_CLOEXEC)
    for descriptor in descriptors:
        refused.callback(os.close, descriptor)
    if len(head) < LENGTH.size or len(descriptors) < 4:
        return None
    (size,) = LENGTH.unpack(head)
    body = b""
    while len(body) < size:
        if not (part := connection.recv(size - len(body))):
            return None
        body += part
    connection.settimeout(None)
    return Request(connection=connection, descriptors=descriptors, **json.loads(body))


def _fork() -> int:
    gc.collect()
    gc.freeze()  # what is imported is never garbage, and unvisited its pages stay shared
    return os.fork()
