import copy as copying
import json
import os
import time

import pytest

from tiny import tiny_params

REPORT = {"table", "figure", "training_curves", "page", "results"}
"""Rules whose jobs take seconds."""


def test_one_command_leads_from_images_to_the_page(finished):
    page = (finished.root / "reports" / "index.html").read_text()
    assert "NPGD" in page
    runs = list((finished.root / "results" / "runs").iterdir())
    assert len(runs) == 3
    for run in runs:
        assert {"config.yaml", "model.safetensors", "history.csv", "manifest.json"} <= {
            p.name for p in run.iterdir()
        }
        for summary in (run / "eval").glob("*.json"):
            assert json.loads(summary.read_text())["attacks"]["clean"]["n"] == 100
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
    assert jobs["evaluate"] == 2
    assert "dataset" not in jobs
    assert "projector" not in jobs
    assert jobs["page"] == 1
    copy.write(tiny_params())
    assert set(copy.planned()) <= REPORT | {"all"}


def test_an_edited_start_redoes_its_children_too(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["st"]["loss"] = "lse"
    copy.write(params)
    jobs = copy.planned()
    assert (jobs["train"], jobs["projector"]) == (3, 1)


def test_a_missing_evaluation_is_redone_alone(copy):
    victim = next((copy.root / "results" / "runs").glob("*npgd*/eval/paper-space*.json"))
    victim.unlink()
    jobs = copy.planned()
    assert jobs["evaluate"] == 1
    assert "train" not in jobs


@pytest.mark.parametrize(
    ("file", "rule"),
    [("tables/npat_table3.tex", "table"), ("figures/npat_figure5.png", "figure"), ("metrics.json", "page")],
)
def test_a_deleted_table_or_figure_is_made_again(copy, file, rule):
    (copy.root / "reports" / file).unlink()
    assert copy.planned().get(rule) == 1


def test_a_typo_in_params_stops_everything_with_one_readable_message(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["npgd-pgd"]["betta"] = params["runs"]["npgd-pgd"].pop("beta")
    copy.write(params)
    output = copy.snakemake("--dry-run")
    assert output.returncode != 0
    message = "params.yaml: runs.npgd-pgd.betta: unknown key (did you mean 'beta'?)"
    assert message in output.stdout.strip().splitlines()[-2:], "what matters stands at the end"
    assert "Traceback" not in output.stdout


def test_a_failing_training_shows_its_message_and_loses_nothing(copy):
    params = copying.deepcopy(tiny_params())
    params["runs"]["pgd-at"]["training"] = {"optimizer": {"lr": 1.0e30}}
    copy.write(params)
    output = copy.snakemake("--keep-going")
    assert output.returncode != 0
    assert "is no finite number" in output.stdout
    assert len(list((copy.root / "results" / "runs").glob("*/model.safetensors"))) == 3
