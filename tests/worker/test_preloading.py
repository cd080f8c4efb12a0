"""What the worker imports before it forks: all that a verb needs, and nothing that makes a fork unsafe."""

import subprocess
import sys

import pytest

from robustfront.cli import cli
from robustfront.worker import preloading

IMPORTS = """
import os, sys
from torch.utils._python_dispatch import TorchDispatchMode
import torch
from robustfront.worker.preloading import MODULES, preload

class Noted(TorchDispatchMode):
    seen = []
    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        self.seen.append(str(function))
        return function(*arguments, **(named or {}))

with Noted():
    assert all(preload([verb]) for verb in MODULES)
threads = [open(f"/proc/self/task/{number}/comm").read().strip() for number in os.listdir("/proc/self/task")]
threads.remove("jemalloc_bg_thd") if "jemalloc_bg_thd" in threads else None  # pyarrow's; knows about forks
print(len(threads), torch.cuda.is_initialized(), Noted.seen)
"""
ONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="there is a worker on Linux alone")
def test_importing_computes_nothing_starts_no_thread_and_touches_no_gpu(monkeypatch):
    for name, value in ONE.items():
        monkeypatch.setenv(name, value)
    answer = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[-2] == "1 False []"


def test_verbs_are_known_by_their_names():
    assert preloading.MODULES.keys() <= cli.commands.keys()


def test_what_cannot_be_imported_is_left_to_the_job(monkeypatch):
    monkeypatch.setitem(preloading.MODULES, "train", ("robustfront.of_nobody",))
    assert not preloading.preload(["train", "x"])
    assert preloading.preload(["plan"])
