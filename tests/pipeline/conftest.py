"""A small copy of the project in a temporary folder, and a way to run Snakemake in it."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tiny import tiny_params


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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Project:
    """A project in which `snakemake` has run once, from images to page."""
    root = tmp_path_factory.mktemp("project")
    for name in ("workflow", "profiles", "notebooks"):
        shutil.copytree(project / name, root / name)
    shutil.copy(project / "Snakefile", root)
    tiny = Project(root)
    tiny.write(tiny_params())
    output = tiny.snakemake()
    assert output.returncode == 0, output.stdout[-6000:]
    return tiny


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """The finished project in another folder, with timestamps in an arbitrary order, as after a clone."""
    root = tmp_path / "elsewhere"
    shutil.copytree(finished.root, root, ignore=shutil.ignore_patterns(".snakemake", ".cache"))
    results = sorted(path for path in (root / "results").rglob("*") if path.is_file())
    for position, path in enumerate(reversed(results)):
        os.utime(path, (1.7e9 + position, 1.7e9 + position))
    now = time.time()  # no report file is older than another that it is made from
    for path in (root / "reports").rglob("*"):
        os.utime(path, (now, now))
    return Project(root)
