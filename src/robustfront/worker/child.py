"""What a forked child does to be the process that its client would have been."""

import atexit
import ctypes
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import robustfront
from robustfront.worker.serving import Request, decisive

_PR_SET_PDEATHSIG = 1

_held: list[object] = []
"""The connection to the client, which learns from its end that worker and job are gone."""


def become(request: Request, worker: int) -> None:
    """Takes over the client's arguments, environment, folder and standard streams.

    `worker`: the process it was forked by. If that is killed, this one gets SIGTERM: nobody could tell the
    client how it ended.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != worker:
        os._exit(1)
    _held.append(request.connection)
    *standard, folder = request.descriptors
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    os.fchdir(folder)
    for descriptor in request.descriptors:
        os.close(descriptor)
    os.umask(request.umask)
    for name in os.environ.keys() - decisive(os.environ).keys():
        del os.environ[name]
    os.environ.update(request.environment)
    sys.argv = [str(Path(robustfront.__file__).with_name("__main__.py")), *request.words]
    _open_streams(("stdin", "stdout", "stderr"))


def leave(run: Callable[[], None]) -> None:
    """Runs `run` and ends as the interpreter does, without freeing one by one what the kernel frees at once.

    That would take longer than to start. What is not caught ends the usual way.
    """
    code: Any = None
    try:
        run()
    except SystemExit as leaving:
        code = leaving.code
        if not isinstance(code, int | None):
            raise
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing's children do
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((code or 0) & 0xFF)


def _open_streams(names: Sequence[str]) -> None:
    """As the interpreter opens them when it starts."""
    for number, name in enumerate(names):
        before: io.TextIOWrapper = getattr(sys, f"__{name}__")
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        unbuffered = before.write_through  # as PYTHONUNBUFFERED has it
        binary: Any = io.BufferedReader(raw) if number == 0 else raw if unbuffered else io.BufferedWriter(raw)
        stream = io.TextIOWrapper(
            binary,
            before.encoding,
            before.errors,
            "\n",
            line_buffering=name == "stderr" or raw.isatty(),
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
