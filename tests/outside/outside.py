"""Commands as a user types them, and what they say."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Outside:
    """A project's folder; `variables` are those of the environment, None for one that is not set.

    `user`: the number of who types the commands.
    """

    folder: Path
    variables: dict[str, str | None] = field(default_factory=dict)
    user: int | None = None

    def robustfront(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The outcome of a verb; `stdout` has both streams."""
        return self.run(sys.executable, "-P", "-m", "robustfront", *words)

    def snakemake(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The outcome of the workflow with these arguments; `stdout` has both streams."""
        workflow = ["-s", str(ROOT / "Snakefile"), "--cores", "1"]
        return self.run(sys.executable, "-m", "snakemake", *workflow, *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A verb at work."""
        return self.begin(sys.executable, "-P", "-m", "robustfront", *words)

    def begin(self, *words: str, out: IO[str] | int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """A command at work; `out` has both its streams."""
        return subprocess.Popen(
            words, cwd=self.folder, env=self._environment, stdout=out, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The outcome of any command; `stdout` has both streams."""
        who = [] if self.user is None else ["setpriv", f"--reuid={self.user}", f"--regid={self.user}"]
        who += ["--clear-groups"] if who else []
        return subprocess.run(
            [*who, *words],
            check=False,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    @property
    def _environment(self) -> dict[str, str]:
        everything = os.environ | {"XDG_CACHE_HOME": str(self.folder / ".cache")} | self.variables
        return {key: value for key, value in everything.items() if value is not None}


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said that did well."""
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def refused(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one message of a command that did not, which docs/faults.md quotes."""
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    if of_workflow := re.search(r"^WorkflowError in file .*:\n(.+)$", done.stdout, re.MULTILINE):
        quoted(of_workflow[1])
        return of_workflow[1]
    _, head, told = done.stdout.rpartition("error: ")
    quoted(head + told.strip())
    return told.strip()


def quoted(message: str) -> None:
    """The page has these words, with … for what differs between machines and runs."""
    message = re.sub(r"-[0-9a-f]{6,8}\b", "-…", message)
    message = re.sub(r"\(\d+ on [^;]+;", "(… on …;", message)
    assert f"`` {message} ``" in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"), message


def possible(other: Outside) -> Outside:
    """Skips where commands cannot be typed by another user."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to be another user")
    if other.robustfront("--version").returncode:
        pytest.skip("needs a Python that other users may run")
    return other
