"""Networks of each kind of batch norm from their training to tables, on images of each split."""

from pathlib import Path
from typing import Any

import pytest
import torch

import small_params
from robustfront.config.evaluations import WORST_CASE
from robustfront.evaluation import outcomes
from robustfront.reporting import default, rendering
from robustfront.reporting.doubts import checks
from robustfront.reporting.results import Results
from robustfront.reporting.wording import WHOLE
from robustfront.studies.report import report
from robustfront.upkeep import inventory
from robustfront.upkeep.prune import orphans
from small_project import BUDGET, Project
from study_files import STUDY

RUNS: dict[str, Any] = {
    "tracked": {"kind": "tracked"},
    "untracked": {"kind": "untracked"},
    "re-estimated": {"kind": "re-estimated", "batches": 3},
}
SIZES = {"test": 32, "train": 72, "validation": 40}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Everything made that the plan wants, but for the analyses and reports."""
    made = Project(tmp_path_factory.mktemp("kinds"))
    suite = {
        "threat": {"eps": 0.1},
        "attacks": {"pgd": {"kind": "pgd", "steps": 3, "step_size": 0.05}},
        "batch_size": 12,
        "whole_batches": True,
    }
    edits = {
        "runs": {
            name: {"method": "standard", "loss": "ce", "model": {"batch_norm": kind}}
            for name, kind in RUNS.items()
        },
        "datasets/digits/splits": {"train": 72, "validation": 40, "test": 32},
        "defaults/model": {"depth": 10, "width": 2},
        "defaults/training": {"standard": BUDGET, "adversarial": BUDGET},
        "defaults/suites": {split: suite | {"split": split} for split in SIZES},
    }
    small_params.write(made.folder, small_params.tree(**edits))
    made.prepare()
    torch.set_num_threads(1)
    for name in RUNS:
        made.train(name)
        made.evaluate(name)
    return made


def test_images_of_each_split_are_attacked(project: Project) -> None:
    for name in RUNS:
        run = project.run(name)
        for key, evaluation in project.plan.evaluations[run.id].items():
            if evaluation.outcomes:
                rows, record = outcomes.load(project.layout.evaluation(run.id, key))
                assert rows["sample"].tolist() == [*range(SIZES[evaluation.split])]
                assert record["batch_size"] == 12
                assert record["evaluation"]["whole_batches"] == (name == "untracked")


def test_nothing_is_missing_and_nothing_of_it_is_an_orphan(project: Project) -> None:
    lacking = inventory.missing(project.plan, project.layout)
    assert {item.kind for item in lacking} <= {"report"}, lacking
    found = orphans(
        [project.plan], project.layout, project.folder / "reports", project.folder / "params.yaml"
    )
    assert not [orphan for orphan in found if orphan.kind in ("evaluation", "index")]


def test_tables_name_the_split_and_mark_the_network_that_looks_at_batches(
    project: Project, tmp_path: Path
) -> None:
    results = Results(project.plan.studies[STUDY], project.layout)
    table = default.table(results)
    frame = table.frame[table.frame["status"] == "reproduced"]
    keys = set(frame[["attack", "split", "n"]].itertuples(index=False, name=None))
    assert keys == {(attack, split, n) for attack in ("clean", "pgd") for split, n in SIZES.items()}
    assert set(frame.loc[frame["batches"] == "12", "run"]) == {"untracked"}
    assert set(frame.loc[frame["batches"] == "", "run"]) == {"tracked", "re-estimated"}
    rendering.write_table(table, tmp_path / "t")
    text = (tmp_path / "t.md").read_text()
    lines = {name: line for name in RUNS for line in text.splitlines() if line.startswith(f"| {name} ")}
    assert [lines[name].count(WHOLE) for name in RUNS] == [0, 6, 0]
    assert "whole batches of 12" in text
    assert "pgd (n = 72 train)" in text
    assert "pgd (n = 32)" in text
    assert r"$^\ddagger$" in (tmp_path / "t.tex").read_text()


def test_figures_and_the_page_mark_it_too(project: Project, tmp_path: Path) -> None:
    plan = project.plan.studies[STUDY]
    results = Results(plan, project.layout)
    (legend,) = default.front(results).legends
    assert {f"untracked {WHOLE}", "tracked"} <= {text.get_text() for text in legend.get_texts()}
    complaints = report(plan, project.layout, tmp_path / STUDY, project.folder / "params.yaml")
    page = (tmp_path / STUDY / "index.html").read_text()
    assert not complaints
    for words in (
        "the batch, at test time too",
        "statistics of 3 training batches, after training",
        "networks that normalise by the batch: in whole batches of 12",
        "train images",
        "not applicable",
        WHOLE,
    ):
        assert words in page, words


def test_checks_that_do_not_apply_fail_nobody(project: Project) -> None:
    results = Results(project.plan.studies[STUDY], project.layout)
    run = project.run("untracked").id
    states = [check.state for check in checks(results, run, "test")]
    assert states.count("not applicable") == 2 * len(SIZES), "two in the suite of each split"
    assert "failed" not in states
    assert results.rate(run, "test", WORST_CASE) is not None
