"""What the rules call: has this Snakemake's worker do a job, or else becomes that job itself.

`python -I -S client.py ARGUMENTS` is to who calls it what `python -P -m robustfront ARGUMENTS` would be: what
it prints, where, how it takes signals, how it ends. It uses the standard library alone, without `site`,
because every job waits for it.
"""

import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress

VARIABLE = "ROBUSTFRONT_WORKER"
"""Name of the environment variable that holds the name of the worker's socket."""

STATUS = struct.Struct("i")
"""What the worker says in the end: how the job ended, as `waitpid` has it."""

LENGTH = struct.Struct("I")
STOPPED = 75
_HANDED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
    signal.SIGCONT,
)


def is_mine(connection: socket.socket) -> bool:
    """Whether a process of this user is at the other end: a socket without a file has no permissions."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(user == os.getuid())


def main(words: list[str]) -> None:
    """Does not return."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of ours
    stops: list[int] = []
    status = _ask(os.environ.get(VARIABLE, ""), words, stops)
    if status is not None and os.WIFSIGNALED(status):
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    if status is not None:
        sys.exit(os.waitstatus_to_exitcode(status))
    if stops:
        sys.exit(STOPPED)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "robustfront", *words])


def _ask(name: str, words: list[str], stops: list[int]) -> int | None:
    """How the job ended; None if the worker is not there, refuses, or is lost, and then its job has ended.

    `stops` gets the signals that were to stop it.
    """
    if not name:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"\0{name}")
            if not is_mine(connection) or connection.fileno() < 3:  # where a closed stream would be
                return None
            _send(connection, words)
            _hand_signals_on(connection, stops)
            # The job holds the connection as well as the worker: without a status, both have gone.
            answer = connection.recv(STATUS.size, socket.MSG_WAITALL)
    except OSError:
        return None
    return int(STATUS.unpack(answer)[0]) if len(answer) == STATUS.size else None


def _send(connection: socket.socket, words: list[str]) -> None:
    """The request: its length with four descriptors, then what is no descriptor."""
    mask = os.umask(0)
    os.umask(mask)
    request = json.dumps({"words": words, "environment": dict(os.environ), "umask": mask}).encode()
    folder = os.open(".", os.O_PATH)
    socket.send_fds(connection, [LENGTH.pack(len(request))], [0, 1, 2, folder])
    connection.sendall(request)
    os.close(folder)


def _hand_signals_on(connection: socket.socket, stops: list[int]) -> None:
    """From now on signals go to the job, each as a byte; one that was ignored stays so."""

    def hand_on(number: int, frame: object) -> None:
        suspended = number == signal.SIGTSTP
        if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            stops.append(number)
        with suppress(OSError):  # the worker has gone, and the job with it
            connection.send(bytes([signal.SIGSTOP if suspended else number]))
        if suspended:
            os.kill(os.getpid(), signal.SIGSTOP)

    for number in _HANDED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hand_on)


if __name__ == "__main__":
    main(sys.argv[1:])
