"""A small project in which something goes wrong, and the list of what can."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from robustfront.artefacts import EVALUATIONS
from robustfront.errors import Interrupted
from robustfront.evaluation.session import evaluate_run
from robustfront.training.loop import Trainer
from small_project import Project, params
from study_files import write


@dataclass
class Arena:
    """The project, and what must be undone at the end of the test."""

    project: Project
    patch: pytest.MonkeyPatch
    cleanup: ExitStack
    params: dict[str, Any] = field(default_factory=params)

    def run(self, name: str) -> str:
        return self.project.run(name).id

    def evaluation(self, kind: str = "pgd") -> str:
        """The first of this kind that a run gets."""
        wanted = self.project.plan.evaluations[self.run("st")]
        return next(key for key, evaluation in wanted.items() if evaluation.attack.kind == kind)

    def evaluate(self, name: str) -> Path:
        """Makes all evaluations of a run; their folder."""
        run = self.project.run(name)
        evaluations, index = self.project.plan.evaluations[run.id], self.project.plan.index(run.id)
        evaluate_run(run, evaluations, index, self.project.layout, "cpu")
        return self.project.layout.evaluation(run.id, index).parent

    def only(self, *runs: str) -> None:
        """The study has these runs alone, and one attack of a moment."""
        quick = self.params["defaults"]["suites"]["quick"]
        self.edit(runs={name: self.params["runs"][name] for name in runs}, defaults__suites={"quick": quick})

    def unfinished(self, name: str) -> Path:
        """Where the evaluations of a run keep what they have computed."""
        return self.project.layout.unfinished(self.run(name), EVALUATIONS)

    def model(self, name: str) -> Path:
        return self.project.layout.run(self.run(name)) / "model.safetensors"

    def edit(self, **edits: Any) -> None:
        """Replaces values in the files of numbers; `__` stands between levels."""
        for key, value in edits.items():
            *parents, last = key.split("__")
            place = self.params
            for parent in parents:
                place = place[parent]
            place[last] = value
        write(self.project.folder, self.params)
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
