import csv
import json
from typing import Any
from urllib.parse import unquote

import pytest
from html_page import Page
from study_project import StudyProject

from robustfront.artefacts import read_json, write_json, write_text
from robustfront.planning import load_plan
from robustfront.reporting import freshness
from robustfront.reporting.contents import write_contents

METRICS = {"digits": {"st": {"near": {"clean": 5.0, "pgd": 37.5}}, "pgd-at": {"near": {"clean": 6.0}}}}
SUMMARY = {
    "label": "tiny scale: not comparable in value",
    "runs": 2,
    "lacking": {},
    "failed": [],
    "claims": ["In print: 3 holds, 1 contradicted", "Here, near: 2 reproduced"],
    "metrics": METRICS,
}


def reported(project: StudyProject, scale: str = "tiny", **summary: Any) -> Page:
    """The contents page over a page of the study that recorded `summary`."""
    write_text(project.page / "index.html", "a page")
    content = {"scale": scale, "inputs": "x", "complaints": [], "summary": SUMMARY | summary}
    freshness.write(project.page, content, [project.page / "index.html"])
    return contents(project)


def contents(project: StudyProject) -> Page:
    write_contents(load_plan(project.params), project.layout, project.reports)
    return Page(project.reports / "index.html")


def current(project: StudyProject) -> bool:
    return freshness.contents_are_current(load_plan(project.params), project.reports)


def test_each_study_is_an_entry_with_what_it_comes_to(mine: StudyProject) -> None:
    page = reported(mine)
    for text in (
        "One study at the tiny scale: a test & no more.",
        "A study of mine me, 2025 tiny scale: not comparable in value Runs 2",
        "Claims, in print 3 holds, 1 contradicted",
        "Claims, here, near 2 reproduced",
    ):
        assert text in page.text, text
    assert page.open == []
    assert page.links == ["mine/index.html", "metrics.json"]
    assert all((mine.reports / unquote(link)).is_file() for link in page.links)


def test_what_is_missing_or_failed_is_said(mine: StudyProject) -> None:
    page = reported(mine, lacking={"diverged: no <way>": "st", "not made yet": "pgd-at"}, failed=["Table 9"])
    assert "Runs 2 diverged: no <way> (st) not made yet (pgd-at)" in page.text
    assert "Not made Table 9" in page.text


@pytest.mark.parametrize("reports_of", [None, "wide"])
def test_a_study_without_a_page_of_this_scale_says_how_to_make_it(
    mine: StudyProject, reports_of: str
) -> None:
    page = reported(mine, scale=reports_of) if reports_of else contents(mine)
    assert "No page of this scale yet: snakemake mine makes it." in page.text
    assert "mine/index.html" not in page.links
    assert read_json(mine.reports / "metrics.json") == {}


def test_studies_that_have_no_such_scale_are_named(mine: StudyProject) -> None:
    other = json.loads((mine.study / "params.yaml").read_text())
    other["scales"]["wide"] = other["scales"].pop("tiny")
    write_json(mine.folder / "theirs" / "params.yaml", other)
    shared = json.loads(mine.params.read_text())
    shared["studies"].append("theirs")
    shared["scales"]["wide"] = shared["scales"]["tiny"]
    write_json(mine.params, shared)
    assert "Without a tiny scale: theirs." in reported(mine).text


def test_metrics_and_plots_keep_their_paths(mine: StudyProject) -> None:
    reported(mine)
    assert read_json(mine.reports / "metrics.json") == {"mine": METRICS}
    plots = mine.reports / "plots"
    errors = {path.name: list(csv.DictReader(path.open())) for path in (plots / "errors").iterdir()}
    assert errors == {
        "mine-near-clean.csv": [
            {"run": "digits pgd-at", "error": "6.0"},
            {"run": "digits st", "error": "5.0"},
        ],
        "mine-near-pgd.csv": [{"run": "digits st", "error": "37.5"}],
    }
    training = sorted(path.name for path in (plots / "training").iterdir())
    assert training == ["mine-digits-pgd-at-s0.csv", "mine-digits-st-s0.csv"]
    lines = list(csv.DictReader((plots / "training" / training[1]).open()))
    assert [line["epoch"] for line in lines] == ["0", "1", "2", "3", "4"]
    assert lines[1]["validation_accuracy"] == "28.0"


def test_plots_of_runs_that_are_no_more_go(mine: StudyProject) -> None:
    write_text(mine.reports / "plots" / "training" / "older.csv", "epoch")
    reported(mine)
    assert not (mine.reports / "plots" / "training" / "older.csv").exists()


def test_it_is_current_until_a_page_says_something_else(mine: StudyProject) -> None:
    assert not current(mine)
    reported(mine)
    assert current(mine)
    content = {"scale": "tiny", "inputs": "y", "complaints": [], "summary": SUMMARY}
    freshness.write(mine.page, content, [mine.page / "index.html"])
    assert not current(mine)
    contents(mine)
    assert current(mine)
    (mine.reports / "plots" / "errors" / "mine-near-pgd.csv").unlink()
    assert not current(mine)
