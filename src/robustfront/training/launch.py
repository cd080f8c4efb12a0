"""One training on several devices: a process for each, started as `torchrun` starts them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from types import FrameType
from typing import IO

import torch
import torch.distributed as dist

from robustfront.errors import ProcessLost
from robustfront.training.world import ALONE, World

GRACE_SECONDS = 20.0
"""What the other processes get, once one has failed, to end by themselves: mostly they fail of the same."""

FAILED = "robustfront/failed"
"""Where, in the store of the world, the first process to fail leaves its rank."""


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The world that this process is part of by what `launch` or `torchrun` set: WORLD_SIZE, RANK, ...

    Without them it is a world of its own. ProcessLost where an exchange fails because another process has.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # gloo also where NCCL is at work: whether to stop is agreed on between the hosts
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), size)
    except Exception as error:
        first = _first_to_fail(dist.get_rank())  # told before the others notice that this process is gone
        if isinstance(error, RuntimeError) and first != dist.get_rank():
            raise ProcessLost(f"process {first} of this training failed, which ended the others") from error
        raise
    finally:
        dist.destroy_process_group()


def _first_to_fail(rank: int) -> int:
    """The rank of the first process that failed: `rank`, which has just now, if it is told of no other."""
    with contextlib.suppress(RuntimeError):  # the store is gone with who started us
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=5))
        return int(store.compare_set(FAILED, "", str(rank)))
    return rank


def launch(command: list[str], devices: list[torch.device]) -> int:
    """Runs `command --device <device>` on each of `devices` as one world, and returns its exit code.

    What the first process prints is seen at once, what another one says only where it is the one that failed.
    SIGTERM and SIGINT are handed on to the first process, at which all stop together and save; a second one
    kills them. A process that fails takes the others with it.
    """
    # Not among the processes, so that the port is taken before they start.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = os.environ | {
        "WORLD_SIZE": str(len(devices)),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    threads = max(1, torch.get_num_threads() // len(devices))
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in devices]
        processes = [
            subprocess.Popen(
                [*command, "--device", str(device)],
                env={"OMP_NUM_THREADS": str(threads)} | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=outputs[rank] if rank else None,
                stderr=outputs[rank] if rank else None,
                start_new_session=True,  # Ctrl-C reaches them through us alone
            )
            for rank, device in enumerate(devices)
        ]
        stack.callback(_kill, processes)
        stack.enter_context(_handing_on(processes))
        culprit = _wait(processes)
        if culprit is None:
            return 0
        if processes[culprit].returncode > 0 and store.check([FAILED]):
            culprit = int(store.get(FAILED))
        failed, said = processes[culprit], _text(outputs[culprit])
        if failed.returncode != processes[0].returncode or "Traceback" in said:
            sys.stderr.write(said)  # else the first process has said the same
        return failed.returncode if failed.returncode > 0 else 128 - failed.returncode  # as a shell does


def _wait(processes: list[subprocess.Popen[bytes]]) -> int | None:
    """Waits for all to end; the rank of the first that failed, or None."""
    culprit: int | None = None
    deadline = float("inf")
    while time.monotonic() < deadline:
        codes = [process.poll() for process in processes]
        if culprit is None and any(codes):
            failed = [rank for rank, code in enumerate(codes) if code]
            culprit = next((rank for rank in failed if (codes[rank] or 0) < 0), failed[0])  # killed: a cause
            deadline = time.monotonic() + GRACE_SECONDS
        if None not in codes:
            break
        time.sleep(0.05)
    return culprit


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()  # nothing happens to one that has ended
        process.wait()


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")


@contextlib.contextmanager
def _handing_on(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Within the context the first SIGTERM or SIGINT goes to the first process, the second one kills all."""
    received: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            processes[0].send_signal(number)
        else:
            for process in processes:
                process.kill()

    previous = {watched: signal.signal(watched, hand_on) for watched in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for watched, handler in previous.items():
            signal.signal(watched, handler)
