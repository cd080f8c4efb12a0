"""The worker in a run of Snakemake: jobs are forked from it, import nothing of ours, and leave nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from robustfront.models import weights
from tiny import tiny_params

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))
from workflow_project import WORKFLOW, Project

SPY = """
import atexit, os, sys
from pathlib import Path

parent = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode().split(chr(0))
before = set(sys.modules)


def tell():
    late = sorted(name for name in set(sys.modules) - before if name.startswith("robustfront."))
    with open("spied", "a") as file:
        threads = os.environ["OMP_NUM_THREADS"]
        file.write(f"{'robustfront.worker' in parent} {threads} {late} {sys.argv[1:]}\\n")


if sys.argv[0].endswith("__main__.py") and "robustfront" in sys.argv[0]:
    atexit.register(tell)
"""


def spied(folder: Path) -> Project:
    params = tiny_params()
    suites = params["scales"]["tiny"]["suites"]
    del suites["pixel-space"]
    del suites["paper-space"]["attacks"]["autoattack"], suites["paper-space"]["samples"]
    (folder / "spy.py").write_text(SPY)
    made = Project(folder)
    made.write(params | {"extensions": ["spy.py"]})
    return made


@pytest.mark.slow
def test_every_job_is_forked_with_the_threads_of_its_rule_and_imports_nothing_of_ours(tmp_path):
    project = spied(tmp_path)
    output = project.snakemake()
    assert output.returncode == 0, output.stdout[-4000:]
    lines = (tmp_path / "spied").read_text().splitlines()
    verbs = {word for line in lines for word in re.findall(r"'([a-z]+)'", line)}
    assert {"train", "projector", "evaluate", "analyse", "report", "contents"} <= verbs
    for line in lines:
        forked, threads, late = line.split(" ", 2)
        assert forked == "True", line
        assert threads == "1", line
        assert late.startswith("[] "), line
    assert not [process for process in psutil.process_iter(["cmdline"]) if _is_worker(process, tmp_path)]


@pytest.mark.slow
def test_models_and_numbers_are_those_of_jobs_by_themselves(tmp_path):
    found = []
    for name, extra in (("by-worker", []), ("by-itself", [f"command={sys.executable} -P -m robustfront"])):
        (tmp_path / name).mkdir()
        project = spied(tmp_path / name)
        output = project.snakemake("runs", *(["--config", *extra] if extra else []))
        assert output.returncode == 0, output.stdout[-4000:]
        forked = {line.split()[0] for line in (project.root / "spied").read_text().splitlines()}
        assert forked == {str(name == "by-worker")}
        models = sorted(project.root.glob("results/runs/*/model.safetensors"))
        rows = sorted(project.root.glob("results/runs/*/eval/*.parquet"))
        found.append(([weights.load_weights(path) for path in models], [path.read_bytes() for path in rows]))
    (ours, our_rows), (theirs, their_rows) = found
    assert our_rows == their_rows
    assert len(ours) == 3
    for mine, other in zip(ours, theirs, strict=True):
        assert all((value == other[key]).all() for key, value in mine.items())


@pytest.mark.slow
def test_snakemake_killed_leaves_no_process_and_the_next_run_goes_on(tmp_path):
    project = spied(tmp_path)
    command = [sys.executable, "-m", "snakemake", "-s", WORKFLOW, "--cores", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(2400):
            if [*tmp_path.glob("checkpoints/*")]:
                break
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for _ in range(1200):
            if not [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(tmp_path)]:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("something is still at work")
    finally:
        process.kill()
    assert project.snakemake("--unlock").returncode == 0
    output = project.snakemake("--rerun-incomplete")
    assert output.returncode == 0, output.stdout[-4000:]
    assert (tmp_path / "reports" / "index.html").is_file()


def _is_worker(process: psutil.Process, folder: Path) -> bool:
    try:
        return "robustfront.worker" in process.info["cmdline"] and process.cwd() == os.fspath(folder)
    except (psutil.Error, TypeError):
        return False
