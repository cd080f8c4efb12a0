import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import PATH, PROGRAMS, Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    missing = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"needs SLURM and munge, of which {', '.join(missing)} are not installed")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("needs Snakemake's executor for SLURM: make slurm")
    with Cluster(Path(tempfile.mkdtemp(prefix="slurm-"))) as running:
        yield running
