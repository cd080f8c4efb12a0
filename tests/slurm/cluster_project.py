"""A small project on a cluster of this machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from loopback import Cluster

from robustfront.planning import load_plan
from study_files import STUDY, write


class Project:
    """A folder with the project's own workflow and profile, and a small study."""

    def __init__(self, root: Path, source: Path, cluster: Cluster, params: dict[str, Any]) -> None:
        self.root, self.cluster = root, cluster
        for name in ("workflow", "profiles"):
            shutil.copytree(source / name, root / name)
        shutil.copy(source / "Snakefile", root)
        shutil.copy(Path(__file__).with_name("braked.py"), root)
        plan = load_plan(write(root, params))
        self.runs = {planned.names[0].removeprefix(f"{STUDY}/"): id for id, planned in plan.runs.items()}
        self.most_at_once = 0
        self._engine: subprocess.Popen[bytes] | None = None
        self._fit_profile(root / "profiles" / "slurm" / "config.yaml")

    @staticmethod
    def _fit_profile(path: Path) -> None:
        """What a user of this cluster edits: no accounts, short jobs, no database, no slow network."""
        profile = yaml.safe_load(path.read_text())
        profile["default-resources"] = {"slurm_partition": "gpu", "mem_mb": 500}
        for rule, minutes in {"train": 5, "evaluate": 5, "analyse": 5}.items():
            profile["set-resources"][rule]["runtime"] = minutes
        profile |= {
            "slurm-status-command": "squeue",  # there is no database
            "slurm-init-seconds-before-status-checks": 2,
            "seconds-between-status-checks": 2,
            "latency-wait": 5,
            "retries": 2,
        }
        path.write_text(yaml.safe_dump(profile))

    def start_snakemake(self, *targets: str) -> None:
        """Under the profile, as from a terminal; what it says goes to snakemake.log."""
        command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm"]
        with (self.root / "snakemake.log").open("ab") as log:
            self._engine = subprocess.Popen(
                [*["setpriv", "--pdeathsig", "KILL"], *command, *targets],
                cwd=self.root,
                env=self.cluster.environment
                | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.root / ".cache")},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def press_ctrl_c(self) -> None:
        """A terminal sends SIGINT to every process of the foreground group."""
        assert self._engine is not None
        os.killpg(self._engine.pid, signal.SIGINT)

    def wait(self, done: Callable[[], object] | None = None, *, seconds: float = 900) -> int | None:
        """Until `done`, or else until Snakemake ends; its exit status. The queue is watched meanwhile."""
        assert self._engine is not None
        deadline = time.monotonic() + seconds
        while True:
            jobs = self.cluster.jobs().values()
            self.most_at_once = max(self.most_at_once, [state for state, _ in jobs].count("RUNNING"))
            status = self._engine.poll()
            if done() if done else status is not None:
                return status
            if status is not None or time.monotonic() > deadline:
                why = f"Snakemake ended with {status}" if status is not None else f"waited {seconds:g} s"
                raise AssertionError(f"{why}:\n{self.cluster.table()}\n{self.said()[-6000:]}")
            time.sleep(0.3)

    def said(self) -> str:
        return (self.root / "snakemake.log").read_text()

    def starts(self, brake: str) -> list[tuple[str, str]]:
        """(SLURM job, CUDA_VISIBLE_DEVICES) of each start of a braked training."""
        path = self.root / "starts.txt"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(job, gpu) for name, job, gpu in rows if name == brake]

    def stop(self) -> None:
        if self._engine is not None and self._engine.poll() is None:
            os.killpg(self._engine.pid, signal.SIGKILL)
            self._engine.wait()
