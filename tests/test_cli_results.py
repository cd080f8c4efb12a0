"""The verbs that evaluate and report, on a real run of a moment."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import small_project as small
from robustfront.artefacts import read_json
from robustfront.evaluation import batches
from small_project import Project
from study_files import split, write


@pytest.fixture
def two_studies(small_project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The trained standard model alone, in two studies; the second one attacks it once more."""
    tree = small.params()
    quick = tree["defaults"]["suites"]["quick"]
    tree |= {"runs": {"st": tree["runs"]["st"]}}
    tree["defaults"]["suites"] = {"quick": quick}
    _, second = split(tree)
    second["defaults"]["suites"]["quick"]["attacks"]["pgd-4"] = quick["attacks"]["pgd"] | {"steps": 4}
    write(small_project.folder, tree, second=second)
    small_project.__dict__.pop("plan", None)
    monkeypatch.chdir(small_project.folder)
    return small_project


def evaluated(project: Project) -> list[str]:
    """Labels of the evaluations that are there, and how many each index names."""
    folder = project.layout.run(project.run("st").id) / "eval"
    records = {path: json.loads(path.read_text()) for path in folder.glob("*.json")}
    indices = [str(len(record["evaluations"])) for record in records.values() if "evaluations" in record]
    return sorted(path.stem.rpartition("-")[0] for path in folder.glob("*.parquet")) + sorted(indices)


def test_evaluate_makes_what_the_studies_ask_for(two_studies: Project, run: Any) -> None:
    wanted = two_studies.run("st").id
    assert run("--study", "small", "evaluate", wanted)[0] == 0
    assert evaluated(two_studies) == ["clean", "pgd-3", "2"]
    assert run("evaluate", wanted)[0] == 0
    assert evaluated(two_studies) == ["clean", "pgd-3", "pgd-4", "2", "3"]


def test_a_device_that_is_not_there_is_no_failure_of_the_run(
    two_studies: Project, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    wanted = two_studies.run("st").id
    code, _, err = run("evaluate", wanted, "--device", "cuda")
    assert (code, err) == (
        2,
        "error: --device cuda: this machine has 0 CUDA device(s); use --device cpu\n",
    )
    assert not two_studies.layout.failure(wanted).exists()


def test_a_failed_evaluation_is_remembered_until_it_succeeds(
    two_studies: Project, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = two_studies.run("st").id
    with monkeypatch.context() as patch:
        patch.setattr(batches, "pgd", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run("evaluate", wanted)
    found = read_json(two_studies.layout.failure(wanted))
    assert found == {"verb": "evaluate", "state": "failed", "message": "ZeroDivisionError: division by zero"}
    assert run("evaluate", wanted)[0] == 0
    assert not two_studies.layout.failure(wanted).exists()


def test_report_and_contents(two_studies: Project, run: Any) -> None:
    reports = two_studies.folder / "reports"
    assert run("--study", "small", "evaluate", two_studies.run("st").id)[0] == 0

    code, _, err = run("report", "smal")
    assert code == 2
    assert "scale 'tiny' has no study 'smal' (did you mean 'small'?)" in err
    assert run("report", "small")[0] == 0
    assert {path.name for path in reports.iterdir()} == {"small"}
    assert (reports / "small" / "index.html").is_file()
    assert (reports / "small" / "record.json").is_file()

    code, _, err = run("report")  # of both; the second one lacks an attack
    assert code == 1
    assert err.endswith("error: second: pgd-4 of quick not made yet (st)\n")
    assert (reports / "second" / "index.html").is_file()
    assert not (reports / "index.html").exists()

    assert run("report", "second", "--partial")[0] == 0
    page = (reports / "index.html").read_text()
    assert "small/index.html" in page
    assert "second/index.html" in page
    (reports / "index.html").unlink()
    assert run("--study", "small", "contents")[0] == 0
    assert (reports / "index.html").read_text() == page
    assert {*read_json(reports / "metrics.json")} == {"small", "second"}


def test_a_report_lies_where_it_is_asked_for(two_studies: Project, run: Any, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    assert run("evaluate", two_studies.run("st").id)[0] == 0
    assert run("report", "small", "--reports", elsewhere)[0] == 0
    assert run("contents", "--reports", elsewhere)[0] == 0
    assert (tmp_path / "elsewhere" / "small" / "index.html").is_file()
    assert (tmp_path / "elsewhere" / "index.html").is_file()
    assert not (two_studies.folder / "reports").exists()
