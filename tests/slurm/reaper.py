"""`python reaper.py COMMAND`: runs a daemon as init would, on machines (containers) whose init does not.

Adopts and reaps what the daemon's jobs leave behind; SLURM waits for processes that nobody reaps. Ends with
its parent, and takes all its descendants along.
"""

import ctypes
import os
import signal
import subprocess
import sys

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main() -> None:
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    daemon = subprocess.Popen(sys.argv[1:])
    try:
        while os.wait()[0] != daemon.pid:
            pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while left := psutil.Process().children(recursive=True):
            for process in left:
                process.kill()
            psutil.wait_procs(left, timeout=5)


if __name__ == "__main__":
    main()
