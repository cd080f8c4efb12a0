"""A folder with the project's workflow, and Snakemake run in it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

import study_files

WORKFLOW = Path(__file__).parents[2] / "Snakefile"


@dataclass
class Project:
    """A folder with params files of its own; the workflow lies where it is."""

    root: Path

    def write(self, params: dict, *studies: str) -> None:
        """The files of a tree as in `tiny`, and a line for each further study."""
        shared, own = study_files.split(params, "tiny")
        shared["studies"] += studies
        (self.root / "params").mkdir(parents=True, exist_ok=True)
        (self.root / "params.yaml").write_text(yaml.safe_dump(shared, sort_keys=False))
        (self.root / "params" / "tiny.yaml").write_text(yaml.safe_dump(own, sort_keys=False))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Output of a run, stderr included; the caller checks the exit code."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.root / ".cache")}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "-s", WORKFLOW, "--cores", "2", *arguments],
            check=False,
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1100,
        )

    def robustfront(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Output of a verb, stderr included; the caller checks the exit code."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "robustfront", *arguments],
            check=False,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Rule -> number of jobs a dry run announces, flags aside; empty if there is nothing to be done."""
        output = self.snakemake("--dry-run", *arguments, "--quiet", "rules")
        assert output.returncode == 0, output.stdout
        rows = [line.split() for line in output.stdout.splitlines()]
        jobs = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
        return {rule: count for rule, count in jobs.items() if rule not in ("total", "again")}
