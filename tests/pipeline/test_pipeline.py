import copy as copying
import json
import os
import time

import pytest

from tiny import tiny_params

REPORT = {"study", "contents"}
"""Rules whose jobs take seconds."""


def test_one_command_leads_from_images_to_the_page(finished):
    contents = (finished.root / "reports" / "index.html").read_text()
    assert "tiny/index.html" in contents
    assert "npgd-pgd" in (finished.root / "reports" / "tiny" / "index.html").read_text()
    runs = list((finished.root / "results" / "runs").iterdir())
    assert len(runs) == 3
    for run in runs:
        assert {"config.yaml", "model.safetensors", "history.csv", "manifest.json"} <= {
            p.name for p in run.iterdir()
        }
        records = {
            path.name.rpartition("-")[0]: json.loads(path.read_text())
            for path in (run / "eval").glob("*.json")
        }
        assert {"clean", "pgd-3", "autoattack-standard", "index"} == records.keys()
        assert records["clean"]["outcomes"]["final"]["n"] == 100
        assert records["autoattack-standard"]["outcomes"]["final"]["n"] == 4
    assert not any((finished.root / "checkpoints").glob("*/checkpoint.safetensors"))


def test_a_finished_project_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_scrambled_timestamps_redo_no_training(copy):
    assert copy.planned() == {}


def test_a_clock_that_ran_ahead_or_behind_redoes_no_work(copy):
    for position, path in enumerate(sorted((copy.root / "results").rglob("*.*"))):
        skewed = time.time() + (86400 if position % 2 else -86400 * 400)
        os.utime(path, (skewed, skewed))
    assert set(copy.planned()) <= REPORT | {"all"}


def test_work_on_files_from_the_future_is_not_thrown_away(copy):
    lost = next((copy.root / "results").glob("runs/*/analysis/null-space-*.json"))
    lost.unlink()
    for path in (copy.root / "results").rglob("*.safetensors"):
        os.utime(path, (time.time() + 86400,) * 2)
    output = copy.snakemake("runs")
    assert output.returncode == 0, output.stdout[-3000:]
    assert lost.exists()
    assert copy.planned().keys() <= REPORT | {"all"}


def test_an_edited_beta_redoes_that_run_alone_and_what_depends_on_it(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["npgd-pgd"]["beta"] = 3.0
    copy.write(params)
    jobs = copy.planned()
    assert jobs["train"] == 1
    assert jobs["evaluate"] == 1
    assert "dataset" not in jobs
    assert "projector" not in jobs
    assert jobs["study"] == 1
    copy.write(tiny_params())
    assert set(copy.planned()) <= REPORT | {"all"}


def test_an_edited_start_redoes_its_children_too(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["st"]["loss"] = "lse"
    copy.write(params)
    jobs = copy.planned()
    assert (jobs["train"], jobs["projector"]) == (3, 1)


def test_a_lost_attack_is_made_again_and_no_other(copy):
    evaluations = next((copy.root / "results" / "runs").glob("*npgd*")) / "eval"
    victim = next(evaluations.glob("pgd-3-*.parquet"))
    others = {path: path.stat().st_mtime_ns for path in evaluations.glob("*.parquet") if path != victim}
    victim.unlink()
    assert copy.planned() == {"evaluate": 1, "all": 1}
    assert copy.snakemake("runs").returncode == 0
    assert victim.exists()
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert set(copy.planned()) <= REPORT | {"all"}


def test_another_attack_leaves_the_files_of_the_first_ones_alone(copy):
    before = {path: path.stat().st_mtime_ns for path in copy.root.glob("results/runs/*/eval/*.parquet")}
    params = tiny_params()
    suite = params["scales"]["tiny"]["suites"]["pixel-space"]
    suite["attacks"]["pgd-5"] = {"kind": "pgd", "steps": 5, "step_size": 0.1}
    suite["masking"] = True
    copy.write(params)
    assert copy.planned() == {"evaluate": 3, "study": 1, "contents": 1, "all": 1}
    assert copy.snakemake("runs").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run = next((copy.root / "results" / "runs").glob("*npgd*")) / "eval"
    assert len([*run.glob("pgd-5-*.parquet")]) == len([*run.glob("masking-*.json")]) == 1


@pytest.mark.parametrize(
    ("file", "rule"),
    [("tiny/tables/runs.tex", "study"), ("tiny/figures/front.png", "study"), ("metrics.json", "contents")],
)
def test_a_deleted_table_or_figure_is_made_again_alone(copy, file, rule):
    reports = copy.root / "reports"
    kept = reports / "tiny" / "figures" / "training_overview.svg"
    before = kept.stat().st_mtime_ns
    (reports / file).unlink()
    assert copy.planned().get(rule) == 1
    assert copy.snakemake().returncode == 0
    assert (reports / file).exists()
    assert kept.stat().st_mtime_ns == before
    assert copy.planned() == {}


def test_a_typo_in_params_stops_everything_with_one_readable_message(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["npgd-pgd"]["betta"] = params["runs"]["npgd-pgd"].pop("beta")
    copy.write(params)
    output = copy.snakemake("--dry-run")
    assert output.returncode != 0
    message = "params/tiny.yaml: runs.npgd-pgd.betta: unknown key (did you mean 'beta'?)"
    assert message in output.stdout.strip().splitlines()[-2:], "what matters stands at the end"
    assert "Traceback" not in output.stdout


def test_a_training_that_diverges_is_a_row_of_a_report_that_says_so(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["wild"] = params["runs"]["pgd-at"] | {"training": {"optimizer": {"lr": 1.0e30}}}
    copy.write(params)
    output = copy.snakemake("--keep-going")
    assert output.returncode != 0
    assert "is no finite number" in output.stdout
    assert len(list((copy.root / "results" / "runs").glob("*/model.safetensors"))) == 3
    reports = copy.root / "reports"
    table = (reports / "tiny" / "tables" / "runs.md").read_text()
    assert "diverged" in next(line for line in table.splitlines() if "wild" in line)
    assert "diverged" not in next(line for line in table.splitlines() if "npgd-pgd" in line)
    assert "diverged" in (reports / "tiny" / "index.html").read_text()
    assert "tiny/index.html" in (reports / "index.html").read_text()
    copy.write(tiny_params())
    assert set(copy.planned()) <= REPORT | {"all"}


def test_a_study_is_added_by_files_outside_the_project_narrowed_to_pruned_and_removed(copy, tmp_path):
    folder = tmp_path / "my study"
    name = folder.name.replace(" ", "-")
    folder = folder.with_name(name)
    folder.mkdir()
    (folder / "mine.py").write_text(METHOD)
    (folder / "params.yaml").write_text(STUDY)
    copy.write(tiny_params(), str(folder))
    jobs = copy.planned()
    assert (jobs["train"], jobs["evaluate"], jobs["study"]) == (1, 1, 1), (
        "shared runs are there; tiny's page is"
    )
    assert copy.planned("--config", "studies=tiny").keys() <= {"contents", "all"}
    assert copy.planned(name).keys() == {"train", "evaluate", "study", name}
    output = copy.snakemake()
    assert output.returncode == 0, output.stdout[-4000:]
    table = (copy.root / "reports" / name / "tables" / "runs.md").read_text()
    assert "mine" in table
    assert "start" in table
    assert f"{name}/index.html" in (copy.root / "reports" / "index.html").read_text()
    assert copy.planned() == {}
    status = copy.robustfront("--study", "tiny", "status")
    assert status.returncode == 0, status.stdout
    assert "results/runs" not in copy.robustfront("--study", "tiny", "prune").stdout
    copy.write(tiny_params())
    orphans = copy.robustfront("prune", "--yes").stdout
    assert "run results/runs/digits-mine" in orphans
    assert f"report reports/{name}" in orphans
    assert "npgd" not in orphans
    assert copy.planned().keys() <= {"contents", "all"}


METHOD = '''"""A method of one's own."""
from robustfront.methods.base import register
from robustfront.methods.standard import Standard


@register("mine", source="a test")
class Mine(Standard):
    """Standard training under another name."""
'''
STUDY = """
like: tiny
extensions: [mine.py]
runs:
  mine: {method: mine, init: tiny/st, loss: lse}
  start: tiny/st
"""
