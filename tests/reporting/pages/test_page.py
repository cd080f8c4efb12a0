from pathlib import Path
from typing import Any
from urllib.parse import unquote

from html_page import Page
from study_project import StudyProject

from robustfront.artefacts import write_text
from robustfront.evaluation import outcomes
from robustfront.reporting.build import build
from robustfront.reporting.results import Results
from robustfront.reporting.study_report import all_sections
from robustfront.studies.assemble import assemble

EXPECTED = {
    "setting": "training.epochs",
    "value": 200,
    "quote": "for 200 <epochs> & more",
    "where": "Figure 4",
}


def report(project: StudyProject) -> tuple[Page, dict[str, Any]]:
    """The page, and what was said of it, without a notebook."""
    found = Results(project.plan, project.layout)
    build(found, all_sections(found), project.page)
    said = assemble(project.plan, project.layout, project.page)
    write_text(project.page / "notebook.html", "executed")
    write_text(project.page / "record.json", "{}")
    write_text(project.reports / "index.html", "contents")
    return Page(project.page / "index.html"), said


def complete(mine: StudyProject) -> Page:
    mine.facts(
        title="What <I> found",
        source="me, 2025",
        lede="In short.",
        threat="L∞ <of> something",
        datasets={"THEIRS": ["digits"]},
        expected=[EXPECTED, EXPECTED | {"value": 4}, EXPECTED | {"value": 5, "may_differ": True}],
        unstated=[{"setting": "training.batch_size", "note": "not said"}],
    )
    return report(mine)[0]


def test_tags_nest_and_the_page_has_one_title(mine: StudyProject) -> None:
    page = complete(mine)
    assert page.open == []
    assert page.tags.count("h1") == 1
    assert {"main", "nav", "header", "footer"} <= set(page.tags)
    assert "NPAT" not in page.source


def test_every_link_leads_somewhere(mine: StudyProject) -> None:
    page = complete(mine)
    assert page.links
    assert [link for link in page.links if link.startswith("..")] == ["../index.html"]
    for link in page.links:
        assert not link.startswith(("http:", "https:", "//", "/", "data:"))
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (mine.page / unquote(link)).is_file(), link
    assert not any(word in page.source for word in ("http://", "https://", "@import", "url(", "<script"))


def test_images_have_alternative_texts(mine: StudyProject) -> None:
    page = complete(mine)
    assert len(page.images) == 1 + 1 + 2  # the front, all curves, those of each run
    assert all(len(image["alt"] or "") > 20 for image in page.images)


def test_it_says_what_was_run_where_and_for_how_long(mine: StudyProject) -> None:
    page = complete(mine)
    for text in (
        "What <I> found",
        "me, 2025",
        "In short.",
        "Tiny scale: not comparable in value. a test & no more",
        "L∞ <of> something",
        "2, seed 0",
        "an imaginary processor, 2 thread(s)",
        "2 min 4 s of training steps, 24 s of their validation, 1 min 40 s of evaluation",
        "robustfront 0.1.0, commit 0123456789ab",
        "python 3.11.7, torch 2.15.0",
        "1,397 train, 200 validation, 200 test images; split seed 0; test images held out of the official",
        "shown beside the source's THEIRS",
        "L∞, ε = 0.25 of pixels in [0, 1], clipped to valid images; attacks: pgd (5 steps of 0.06, ce)",
        "run st",
        "3 of 4",
        "1,912",
        "512 MiB",
    ):
        assert text in page.text, text
    assert "not all there" not in page.text


def test_masking_verdicts_name_the_failed_check(mine: StudyProject) -> None:
    mine.evaluate(next(iter(mine.plan.runs.values())), masked=True)
    page = complete(mine)
    assert page.text.count("failed: steps help") == 1
    assert page.text.count("passed, 3 checks") == 1
    assert "failed steps help (near): 40 <of> 400 & more" in page.text
    assert "40 <of> 400 & more" in page.text


def test_refuted_numbers_are_named_with_what_refutes_them(mine: StudyProject) -> None:
    run = next(iter(mine.plan.runs.values()))
    weak = mine.layout.evaluation(run.id, mine.plan.evaluation_id(run.id, "near", "pgd"))
    rows, record = outcomes.load(weak)
    rows["success"] &= rows["sample"] < 20
    outcomes.save(outcomes.Evaluated(rows, None, record), weak)
    page = complete(mine)
    assert page.text.count("pgd, near of 200 images 68 fell to strong, 20 to pgd (24.0 points more") == 1
    assert page.text.count("passed, 3 checks") == 2, "no check has failed by that"


def test_deviations_are_quoted_apart_from_what_may_differ_and_what_is_open(mine: StudyProject) -> None:
    page = complete(mine)
    costs, free = (
        page.text.index("Otherwise than the source"),
        page.text.index("Different, at no cost in value"),
    )
    agree, left_open = page.text.index("1 of 3 settings"), page.text.index("Left open by the source")
    assert costs < free < agree < left_open
    assert "training.epochs : 200 in the source, here 4 (all runs)" in page.text[costs:free]
    assert "“for 200 <epochs> & more” Figure 4" in page.text[costs:free]
    assert "5 in the source, here 4 (all runs)" in page.text[free:agree]
    assert "training.batch_size , here 64 (all runs) not said" in page.text[left_open:]


def test_a_study_without_facts_has_a_page(empty: StudyProject) -> None:
    (empty.study / "study.yaml").unlink()
    empty.finish()
    page, said = report(empty)
    assert "This study states no settings" in page.text
    assert page.text.startswith("mine")
    assert said["complaints"] == []


def test_what_is_not_there_is_said_at_the_top(empty: StudyProject) -> None:
    empty.write(
        **{
            "runs/late": {"method": "trades", "init": "st", "beta": 1.0},
            "runs/wild": {"method": "trades", "init": "st", "beta": 9.0},
        }
    )
    runs = {run.names[0]: run for run in empty.plan.runs.values()}
    empty.train(runs["st"])
    empty.evaluate(runs["st"])
    empty.train(runs["pgd-at"])
    empty.fail(runs["wild"], "diverged", "a loss is <NaN> in epoch 3")
    page, said = report(empty)
    top = page.text[: page.text.index("What was run")]
    assert "3 of 4 runs are not all there." in top
    assert "diverged: a loss is <NaN> in epoch 3 (wild)" in top
    assert "not made yet (late)" in top
    assert "pgd of near not made yet (pgd-at)" in top
    assert "masking checks of near not made yet (pgd-at)" in top
    assert len(said["complaints"]) == 6
    assert "mine: diverged: a loss is <NaN> in epoch 3 (wild)" in said["complaints"]
    assert said["summary"]["runs"] == 4
    for link in page.links:
        assert link.startswith("#") or (empty.page / unquote(link)).is_file(), link


def test_without_any_result_there_is_a_page(empty: StudyProject) -> None:
    page, said = report(empty)
    assert "2 of 2 runs are not all there." in page.text
    assert said["complaints"] == ["mine: not made yet (all runs)"]
    assert said["summary"]["metrics"] == {}


def test_a_section_that_failed_is_marked_with_its_message(mine: StudyProject) -> None:
    write_text(
        mine.study / "report.py",
        "from robustfront.reporting.sections import TableSection\n"
        "from robustfront.reporting.default import table\n"
        "SECTIONS = [TableSection('wrong', 'Table 9: numbers', lambda results: 1 / 0),\n"
        "            TableSection('right', 'Another', table)]\n",
    )
    page, said = report(mine)
    assert "Could not be made: Table 9" in page.text
    assert "Could not be made. ZeroDivisionError: division by zero" in page.text
    assert said["complaints"] == ["mine: Table 9 could not be made: ZeroDivisionError: division by zero"]
    assert "report.py" in said["tracebacks"][0]
    assert said["summary"]["failed"] == ["Table 9"]
    assert "tables/right.csv" in said["files"]
    assert not any("wrong" in name for name in said["files"])
    for link in page.links:
        assert not link.startswith("#") or link[1:] in page.ids


def test_metrics_are_mean_errors_in_percent_under_stable_names(empty: StudyProject) -> None:
    empty.write(**{"scales/tiny/seeds": [0, 1]})
    for seed, run in enumerate(run for run in empty.plan.runs.values() if "st" in run.names):
        empty.train(run)
        empty.evaluate(run, wrong=0.3 + 0.1 * seed)
    _, said = report(empty)
    assert said["summary"]["metrics"] == {
        "digits": {"st": {"near": {"clean": 5.0, "pgd": 37.0, "strong": 39.0, "worst-case": 39.0}}}
    }


def test_writing_it_again_gives_the_same_bytes(mine: StudyProject) -> None:
    first, _ = report(mine)
    assert report(mine)[0].source == first.source


def test_a_bare_manifest_is_enough(mine: StudyProject) -> None:
    for path in Path(mine.layout.results).rglob("manifest.json"):
        path.write_text("{}")
    page, _ = report(mine)
    assert "Device not recorded" in page.text
