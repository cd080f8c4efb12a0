"""The digits pipeline through `sbatch`: what ends a job loses nothing, and what fails says why.

One story, told once: two trainings are held back by a brake, so that a scheduler has time to stop them.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from cluster_project import Project
from loopback import Cluster

from robustfront.models.weights import load_weights
from tiny import tiny_params

pytestmark = pytest.mark.slurm


def params() -> dict:
    tree = tiny_params()
    braked = {"method": "braked", "training": {"epochs": 20}}  # 260 steps: four minutes when braked
    tree["extensions"] = ["braked.py"]
    tree["runs"] = {
        "limited": braked | {"brake": "brake-1"},
        "unlucky": braked | {"brake": "brake-2"},
        "st": tree["runs"]["st"],
        "npgd-pgd": tree["runs"]["npgd-pgd"],
        "broken": {"method": "standard", "loss": "lse", "training": {"optimizer": {"lr": 1.0e30}}},
    }
    tiny = tree["scales"]["tiny"]
    del tiny["suites"]["pixel-space"], tiny["suites"]["paper-space"]["attacks"]["autoattack"]
    del tiny["suites"]["paper-space"]["samples"], tiny["analyses"]["landscape"]
    return tree


@pytest.fixture(scope="module")
def told(cluster: Cluster, project: Path, tmp_path_factory: pytest.TempPathFactory):
    """Everything that happens; the tests look at what it has left."""
    ours = Project(tmp_path_factory.mktemp("project"), project, cluster, params())
    try:
        yield tell(ours, cluster)
    finally:
        ours.stop()


def tell(ours: Project, cluster: Cluster) -> SimpleNamespace:
    limited, unlucky = ours.runs["limited"], ours.runs["unlucky"]
    seen = SimpleNamespace(ours=ours, cluster=cluster, clock={})
    began = time.monotonic()

    def note(what: str) -> None:
        seen.clock[what] = round(time.monotonic() - began)

    def ended(job: str, state: str) -> bool:
        return cluster.jobs()[job][0] == state

    for brake in ("brake-1", "brake-2"):
        (ours.root / brake).touch()

    ours.start_snakemake(
        *[f"results/runs/{ours.runs[name]}/manifest.json" for name in ("limited", "unlucky", "st")]
    )
    ours.wait(lambda: {"RUNNING", "PENDING"} == {state for state, _ in cluster.jobs().values()})
    seen.two_at_a_time = cluster.table()
    ours.wait(lambda: ours.starts("brake-1") and ours.starts("brake-2"))
    note("two trainings hold the two GPUs")
    time.sleep(3)  # some steps
    ours.press_ctrl_c()
    seen.status_after_ctrl_c = ours.wait()
    note("Ctrl-C: Snakemake has ended")
    seen.after_ctrl_c = cluster.jobs()
    seen.saved = sorted(path.parent.name for path in ours.root.glob("checkpoints/*/checkpoint.safetensors"))

    ours.start_snakemake("runs")
    ours.wait(lambda: len(ours.starts("brake-1")) == 2 and len(ours.starts("brake-2")) == 2)
    note("the same command goes on")
    seen.cancelled, seen.preempted = ours.starts("brake-2")[1][0], ours.starts("brake-1")[1][0]
    cluster.ask("scancel", seen.cancelled)
    (ours.root / "brake-2").unlink()
    urgent = ["--partition=urgent", "--gpus=2", "--output=/dev/null", "--wrap=true"]
    rival = cluster.ask("sbatch", "--parsable", *urgent)
    ours.wait(lambda: ended(rival, "COMPLETED"))
    note("one training cancelled, the other pre-empted by a job that has run in its place")
    seen.reference = undisturbed(ours, limited)
    ours.wait(lambda: len(ours.starts("brake-1")) == 3)
    note("the pre-empted one goes on")
    seen.timed_out = ours.starts("brake-1")[2][0]
    cluster.ask("scontrol", "update", f"JobId={seen.timed_out}", "TimeLimit=1")  # SLURM has no shorter one
    ours.wait(lambda: ended(seen.timed_out, "TIMEOUT"))
    (ours.root / "brake-1").unlink()
    note("its time limit has stopped it")
    seen.status = ours.wait()
    note("all done")
    print(seen.clock, seen.two_at_a_time, cluster.table(), sep="\n")
    seen.table = cluster.table()
    seen.results = {run: ours.root / "results" / "runs" / run for run in (limited, unlucky)}
    return seen


def undisturbed(ours: Project, run: str) -> Path:
    """The same training in one go, on no cluster; its folder."""
    results = ours.root / "undisturbed" / "results"
    shutil.copytree(ours.root / "results" / "datasets", results / "datasets")
    empty = ours.root / "undisturbed" / "no-brake-here"
    empty.mkdir()
    files = [f"--params={ours.root / 'params.yaml'}", f"--results={results}"]
    subprocess.run(
        [sys.executable, "-m", "robustfront", *files, "train", run],
        check=True,
        cwd=empty,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return results / "runs" / run


def test_gpu_jobs_run_two_at_a_time_each_with_its_own(told):
    assert told.ours.most_at_once == 2
    first = {told.ours.starts(brake)[0] for brake in ("brake-1", "brake-2")}
    assert {gpu for _, gpu in first} == {"0", "1"}, "both were running at that moment"
    assert told.two_at_a_time.count("RUNNING") == 2
    assert "Resources" in told.two_at_a_time, "what the others wait for"


def test_ctrl_c_cancels_the_jobs_which_save_first(told):
    assert told.status_after_ctrl_c != 0
    states = {state for state, _ in told.after_ctrl_c.values()}
    assert "CANCELLED" in states
    assert not states & {"PENDING", "RUNNING"}
    assert set(told.saved) >= {told.ours.runs["limited"], told.ours.runs["unlucky"]}


def test_a_training_that_was_cancelled_preempted_or_out_of_time_is_submitted_again_and_goes_on(told):
    states = {job: state for job, (state, _) in told.cluster.jobs().items()}
    assert states[told.cancelled] == "CANCELLED"
    assert states[told.timed_out] == "TIMEOUT"
    assert states[told.preempted] in {"FAILED", "PREEMPTED"}, "it ended by itself within the grace period"
    assert (len(told.ours.starts("brake-1")), len(told.ours.starts("brake-2"))) == (4, 3)
    for folder in told.results.values():
        assert json.loads((folder / "manifest.json").read_text())["resumed"] is True


def test_the_result_has_the_bits_of_an_undisturbed_run(told):
    files = {run: folder / "model.safetensors" for run, folder in told.results.items()}
    limited = told.ours.runs["limited"]
    assert files[limited].read_bytes() == (told.reference / "model.safetensors").read_bytes()
    reference = load_weights(told.reference / "model.safetensors")
    other = load_weights(files[told.ours.runs["unlucky"]])  # its brake is all that differs
    assert all(reference[name].equal(other[name]) for name in reference)
    assert not any((told.ours.root / "checkpoints").glob("*/checkpoint.safetensors"))


def test_a_job_that_fails_says_why_and_the_others_go_on(told):
    assert told.status == 1
    assert "is no finite number; lower training.optimizer.lr" in told.ours.said()
    broken = told.ours.runs["broken"]
    attempts = [comment for _, comment in told.cluster.jobs().values() if comment.endswith(broken)]
    assert len(attempts) == 3, "the first, and the profile's retries"
    finished = {path.parent.name for path in told.ours.root.glob("results/runs/*/manifest.json")}
    assert finished == set(told.ours.runs.values()) - {broken}
    evaluated = {path.parent.parent.name for path in told.ours.root.glob("results/runs/*/eval/index-*.json")}
    assert evaluated == finished
    failure = json.loads((told.ours.root / "results" / "runs" / broken / "failure.json").read_text())
    assert (failure["verb"], failure["state"]) == ("train", "diverged")
    assert list(told.ours.root.glob("results/runs/*npgd*/analysis/*.json"))
