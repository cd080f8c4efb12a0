"""A small project in which something goes wrong, and the list of what can."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from robustfront.errors import Interrupted
from robustfront.training.loop import Trainer
from small_project import Project


@dataclass
class Arena:
    """The project, and what must be undone at the end of the test."""

    project: Project
    patch: pytest.MonkeyPatch
    cleanup: ExitStack

    def run(self, name: str) -> str:
        return self.project.run(name).id

    def suite(self, name: str = "quick") -> str:
        (found,) = (id for id, suite in self.project.plan.suites.items() if suite.name == name)
        return found

    def model(self, name: str) -> Path:
        return self.project.layout.run(self.run(name)) / "model.safetensors"

    @property
    def params(self) -> dict[str, Any]:
        return yaml.safe_load((self.project.folder / "params.yaml").read_text())

    def edit(self, **edits: Any) -> None:
        """Replaces values of params.yaml; `__` stands between levels."""
        content = self.params
        for key, value in edits.items():
            *parents, last = key.split("__")
            place = content
            for parent in parents:
                place = place[parent]
            place[last] = value
        (self.project.folder / "params.yaml").write_text(yaml.safe_dump(content))
        self.project.__dict__.pop("plan", None)

    def interrupted(self, name: str) -> Path:
        """The checkpoint of a run that was stopped in its second epoch."""
        step = Trainer._step

        def step_and_stop(trainer: Trainer, order: Any) -> None:
            step(trainer, order)
            if trainer.steps_done == 3:
                os.kill(os.getpid(), signal.SIGTERM)

        with self.patch.context() as patch:
            patch.setattr(Trainer, "_step", step_and_stop)
            with pytest.raises(Interrupted):
                self.project.train(name)
        return self.project.layout.checkpoint(self.run(name)) / "checkpoint.safetensors"

    def full_disk(self, folder: Path) -> None:
        """`folder` becomes a file system of its own, without a free byte."""
        self._mount(folder, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
        with (folder / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def read_only(self, folder: Path) -> None:
        """Modes would not do: root may write anywhere."""
        self._mount(folder, "--bind", str(folder))
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)

    def _mount(self, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(["mount", *arguments, folder], check=False, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("needs `mount`")
        if done.returncode:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
        self.cleanup.callback(subprocess.run, ["umount", "--lazy", folder], check=True)


Make = Callable[[Arena], tuple[str, ...]]


@dataclass(frozen=True)
class Fault:
    """`make` brings the fault about and returns the verb that meets it; `after` is what the user keeps."""

    name: str
    make: Make
    code: int
    after: str


FAULTS: list[Fault] = []


def fault(name: str, after: str, *, code: int = 1) -> Callable[[Make], Make]:
    """Lists a function as a fault."""

    def add(make: Make) -> Make:
        FAULTS.append(Fault(name, make, code, after))
        return make

    return add


def cut(path: Path) -> None:
    """The second half of the file is lost."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, position: float = 0.9) -> None:
    """One bit of the file turns over, at a fraction of its length."""
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 4
    path.write_bytes(content)
