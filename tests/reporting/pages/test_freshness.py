import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from study_project import StudyProject

from robustfront.artefacts import read_json, write_json, write_text
from robustfront.planning.study import StudyPlan
from robustfront.reporting import freshness
from robustfront.reporting.freshness import inputs_digest, is_current


@pytest.fixture
def reported(mine: StudyProject) -> StudyProject:
    """A page of one file."""
    return record(mine)


def record(project: StudyProject, **content: object) -> StudyProject:
    write_text(project.page / "index.html", "a page")
    about = {"inputs": inputs_digest(project.plan, project.layout), "complaints": []} | content
    freshness.write(project.page, about, [project.page / "index.html"])
    return project


def current(project: StudyProject) -> bool:
    return is_current(project.plan, project.layout, project.page)


def test_a_page_is_current_whatever_the_times(reported: StudyProject) -> None:
    assert current(reported)
    for path in reported.folder.rglob("*"):
        os.utime(path, (1, 1))
    assert current(reported)


@pytest.mark.parametrize(
    "pattern", ["manifest.json", "eval/pgd*.json", "eval/masking*.json", "eval/clean*.json"]
)
def test_another_result_makes_it_old_and_the_same_one_current_again(
    reported: StudyProject, pattern: str
) -> None:
    found = next(reported.layout.run(next(iter(reported.plan.runs))).glob(pattern))
    content = read_json(found)
    write_json(found, content | {"edited": 1})
    assert not current(reported)
    write_json(found, content)
    assert current(reported)
    found.unlink()
    assert not current(reported)


def test_a_failure_makes_it_old(reported: StudyProject) -> None:
    reported.fail(next(iter(reported.plan.runs.values())), "failed", "no memory")
    assert not current(reported)


def test_results_of_another_study_on_the_same_run_make_it_old(reported: StudyProject) -> None:
    plan = reported.plan
    first = next(iter(plan.runs))
    far = {"far": plan.suites["near"].model_copy(update={"name": "far", "seed": 1})}
    settings = plan.settings.model_copy(update={"suites": far})
    plan.beside = {"other": StudyPlan(plan.study, plan.scale, plan.note, settings, plan.datasets, plan.runs)}
    alone = inputs_digest(reported.plan, reported.layout)
    beside = inputs_digest(plan, reported.layout)
    assert beside != alone
    stem = reported.layout.evaluation(first, plan.evaluation_id(first, "other/far", "masking"))
    write_json(stem.with_name(f"{stem.name}.json"), {"masking": []})
    assert inputs_digest(plan, reported.layout) != beside
    assert inputs_digest(reported.plan, reported.layout) == alone


def edit(name: str, text: str) -> Callable[[StudyProject], None]:
    return lambda project: write_text(project.study / name, text)


@pytest.mark.parametrize(
    "change",
    [
        edit("claims.yaml", "claims: []"),
        edit("published/table.csv", "table"),
        edit("notebook.py", "# %%"),
        edit("report.py", "SECTIONS = []"),
        edit("report.py", "this is no Python"),
        lambda project: project.facts(title="Another"),
        lambda project: project.write(**{"scales/tiny/note": "another"}),
        lambda project: (project.page / "index.html").unlink(),
        lambda project: write_text(project.page / "index.html", "cut"),
        lambda project: write_text(project.page / "record.json", "{"),
        lambda project: freshness.invalidate(project.page),
    ],
)
def test_other_files_of_the_study_parameters_and_lost_files_make_it_old(
    reported: StudyProject, change: Callable[[StudyProject], None]
) -> None:
    change(reported)
    assert not current(reported)


def test_cosmetic_edits_do_not(reported: StudyProject) -> None:
    for path in (reported.params, reported.study / "params.yaml"):
        path.write_text(path.read_text() + "\n# a comment\n")
    write_text(reported.study / "notes.txt", "mine")
    assert current(reported)


def test_a_page_that_lacks_something_is_never_current(mine: StudyProject) -> None:
    assert not current(record(mine, complaints=["a run is not there"]))


def test_the_digest_of_a_partial_report_is_another_one(empty: StudyProject) -> None:
    digests = []
    for finished in (0, 1, 2):
        empty.finish(only=finished)
        digests.append(inputs_digest(empty.plan, empty.layout))
    assert len(set(digests)) == 3


def test_reading_whether_a_page_is_current_imports_nothing_heavy() -> None:
    code = "import sys, robustfront.reporting.freshness, robustfront.planning\n"
    code += "print({'torch', 'pandas', 'matplotlib', 'pyarrow', 'jinja2'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
