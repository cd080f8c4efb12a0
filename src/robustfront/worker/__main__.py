"""`python -m robustfront.worker DESCRIPTOR` serves on that listening socket until standard input ends."""

import os
import socket
import sys

from robustfront.worker.serving import Worker


def main() -> None:
    """The worker; and, in each process that it forks, the command line."""
    own = os.getpid()
    request = Worker(socket.socket(fileno=int(sys.argv[1])), alive=0).serve()
    if request is not None:
        from robustfront.cli import main as command_line
        from robustfront.worker.child import become, leave

        become(request, own)
        leave(command_line)


main()
