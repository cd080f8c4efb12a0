"""How many cores this process may use, and how many threads a job of it is to compute in. Imports no torch.

Libraries count the cores of the machine, or of the affinity mask, and know nothing of a container's quota.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """Cores that affinity mask, SLURM's allocation and every cgroup's quota leave this process; 1 at least.

    `root`: where the files of the kernel are looked for.
    """
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allocated = os.environ.get("SLURM_CPUS_PER_TASK", "")
    limits = [float(given), *([float(allocated)] if allocated.isdigit() else []), *_quotas(root)]
    return max(1, int(min(limits)))


def threads() -> int:
    """What OMP_NUM_THREADS says, which Snakemake sets to a job's `threads`, else all that are available.

    Never more than that.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(int(asked), available()) if asked.isdigit() and int(asked) else available()


def _quotas(root: Path) -> Iterator[float]:
    """In cores, of this process's cgroups and those above, of version 1 and 2, as far as they are visible."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        own = Path(name.lstrip("/"))
        for group in (own, *own.parents):
            if not controllers:
                yield from _quota(root / "sys/fs/cgroup" / group / "cpu.max")
            elif "cpu" in controllers.split(","):
                folder = root / "sys/fs/cgroup" / "cpu" / group
                yield from _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _quota(*files: Path) -> Iterator[float]:
    """Nothing if there is no quota: `max`, or -1."""
    try:
        quota, period = (float(word) for file in files for word in file.read_text().split())
    except (OSError, ValueError):
        return
    if quota > 0:
        yield quota / period
