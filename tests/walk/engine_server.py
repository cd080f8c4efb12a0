"""The real commands `snakemake`, `dvc` and `robustfront` from processes that have imported them already.

A walk of many steps starts hundreds of them, and importing takes longer than what they do there. The server
imports once and forks for each command; `command_client.py` forwards a command to it. `stand-in` is
`robustfront` whose computations are replaced by `stand_in`.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import dvc.cli
import snakemake.cli
import stand_in

from robustfront import cli

COMMANDS = ("snakemake", "dvc", "robustfront", "stand-in")


def serve(address: str) -> None:
    """Listens on a socket in the file system until it is killed."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    """Runs the command of a connection in this process, which ends with it."""
    length = int.from_bytes(connection.recv(4), "big")
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
    text = b""
    while len(text) < length:
        text += connection.recv(length - len(text))
    request = json.loads(text)
    for number, descriptor in zip((1, 2), descriptors, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    code = 70
    try:
        code = _run(request["name"], request["arguments"])
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    connection.sendall(bytes([code % 256]))
    os._exit(0)


def _run(name: str, arguments: list[str]) -> int:
    sys.argv = [name, *arguments]
    sys.executable = str(Path(os.environ["WALK_BIN"]) / "python")  # what they start comes back to us
    if name == "dvc":
        return int(dvc.cli.main(arguments))
    if name == "snakemake":
        snakemake.cli.main()
    if name == "stand-in":
        stand_in.install()
    if name in ("stand-in", "robustfront"):
        cli.main()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
