"""How many cores and threads: never more than the affinity mask, SLURM and the container's quota leave."""

import os
from pathlib import Path

import pytest
import torch

from robustfront import cores, devices


@pytest.fixture(autouse=True)
def many(monkeypatch):
    """A machine of 64 cores, all of which this process may use, and nothing said in the environment."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)


def kernel(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/")
        path = path.with_name(path.name.replace("-", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "count"),
    [
        ("0::/\n", {}, 64),
        ("0::/\n", {"cpu-max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu-max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu-max": "50000 100000\n"}, 1),
        ("0::/a/b\n", {"a__cpu-max": "350000 100000\n", "a__b__cpu-max": "max 100000\n"}, 3),
        ("0::/not/visible\n", {"cpu-max": "400000 100000\n"}, 4),
        ("4:memory:/x\n2:cpu,cpuacct:/a\n", {"cpu__a__cpu-cfs_quota_us": "200000\n"}, 64),
        (
            "2:cpu,cpuacct:/a\n",
            {"cpu__a__cpu-cfs_quota_us": "200000\n", "cpu__a__cpu-cfs_period_us": "100000\n"},
            2,
        ),
        (
            "2:cpu:/\n",
            {"cpu__cpu-cfs_quota_us": "-1\n", "cpu__cpu-cfs_period_us": "100000\n"},
            64,
        ),
    ],
)
def test_a_quota_of_either_kind_of_cgroup_and_of_those_above_counts(tmp_path, cgroup, files, count):
    assert cores.available(kernel(tmp_path, cgroup, **files)) == count


def test_a_machine_without_cgroups_has_no_quota(tmp_path):
    assert cores.available(tmp_path) == 64


def test_slurm_may_give_fewer(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert cores.available(tmp_path) == 3


@pytest.mark.parametrize(("asked", "count"), [("2", 2), ("100", 8), ("", 8), ("0", 8), ("2,1", 2)])
def test_threads_are_those_asked_for_and_never_more_than_cores(monkeypatch, asked, count):
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cores.threads() == count


@pytest.mark.parametrize("how_many", [1, 2])
def test_a_job_that_takes_its_device_computes_in_so_many(monkeypatch, how_many):
    before = torch.get_num_threads()
    monkeypatch.setattr(cores, "available", lambda: 3)
    try:
        devices.choose_devices("cpu", how_many)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
