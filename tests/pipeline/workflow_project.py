"""A folder with the project's workflow, and Snakemake run in it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass
class Project:
    """A folder with the project's workflow and its own params.yaml."""

    root: Path

    def write(self, params: dict) -> None:
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Output of a run, stderr included; the caller checks the exit code."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.root / ".cache")}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            check=False,
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1100,
        )

    def planned(self) -> dict[str, int]:
        """Rule -> number of jobs a dry run announces; empty if there is nothing to be done."""
        output = self.snakemake("--dry-run", "--quiet", "rules")
        assert output.returncode == 0, output.stdout
        rows = [line.split() for line in output.stdout.splitlines()]
        return {
            row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"
        }
