"""A worker, and jobs that do what a test writes: it is an extension, which the verb `methods` loads."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from robustfront.worker import starting
from robustfront.worker.client import VARIABLE

BY_ITSELF = [sys.executable, "-P", "-m", "robustfront"]
CLIENT = shlex.split(starting.COMMAND)


@dataclass
class Engine:
    """What stands for Snakemake, in a process of its own, and the jobs started as its rules would."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("engine.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )
        assert self.process.stdout is not None
        self.environment = {**self.environment, VARIABLE: self.process.stdout.readline().strip()}
        (self.worker,) = psutil.Process(self.process.pid).children()

    def start(
        self, code: str, *, command: list[str] = CLIENT, output: int = subprocess.PIPE, **variables: str
    ) -> subprocess.Popen[str]:
        """A job that runs `code`; by the worker, unless `command` says otherwise."""
        (self.folder / "job.py").write_text(code)
        (self.folder / "params.yaml").write_text(yaml.safe_dump({"extensions": ["job.py"]}))
        return subprocess.Popen(
            [*command, "--params", "params.yaml", "methods"],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, text: str = "", **arguments: object) -> tuple[int, str, str]:
        """Exit code, output and errors of a job that is given `text` to read."""
        process = self.start(code, **arguments)  # type: ignore[arg-type]
        output, errors = process.communicate(text, timeout=120)
        return process.returncode, output, errors

    def end(self) -> None:
        self.process.communicate(timeout=120)


def pid_of(job: subprocess.Popen[str]) -> int:
    """The number that a job prints first: of the process that does the work."""
    assert job.stdout is not None
    return int(job.stdout.readline())


def has_ended(pid: int) -> bool:
    """Whether a process has ended; an orphan's entry may stay where process 1 does not reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(400):
        if has_ended(pid):
            return True
        time.sleep(0.05)
    return False


def killed(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)
