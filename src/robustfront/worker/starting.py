"""What the Snakefile needs: the command of its rules, and a worker while it runs."""

import atexit
import os
import secrets
import shlex
import socket
import subprocess
import sys
from pathlib import Path

from robustfront.worker.client import VARIABLE

COMMAND = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("client.py"))])
"""Runs the command line, by the worker if there is one. The folder it is called in comes before no module."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""So that no library starts threads when it is imported, before forks. Jobs set their own number."""


def start() -> None:
    """Starts a worker that ends with this process; what is started from now on finds it.

    Does nothing where there is no such thing as a socket without a file: jobs run by themselves there.
    """
    if sys.platform != "linux":
        return
    name = f"robustfront-{secrets.token_hex(16)}"
    os.environ[VARIABLE] = name
    with socket.socket(socket.AF_UNIX) as listening:
        # Here and not in the worker: a job that comes before it is ready waits for it.
        listening.bind(f"\0{name}")
        listening.listen(1024)
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "robustfront.worker", str(listening.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            env=os.environ | _ONE_THREAD,
            start_new_session=True,  # Ctrl-C reaches the jobs through their clients
        )
    atexit.register(_stop, worker)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    """Waits for the worker, which waits for jobs that are still at work and told to stop."""
    assert worker.stdin is not None
    worker.stdin.close()
    worker.wait()
