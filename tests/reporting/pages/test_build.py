import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from study_project import StudyProject

from robustfront.artefacts import write_text
from robustfront.errors import ConfigError
from robustfront.reporting import build as building
from robustfront.reporting.build import NOT_MADE, RECORDS, build, recall
from robustfront.reporting.results import Results
from robustfront.reporting.sections import Section
from robustfront.reporting.study_report import all_sections, report_sections


@dataclass(frozen=True)
class Note(Section):
    """A section that writes down what it is told when it asks; an exception is raised."""

    folder: ClassVar = "tables"
    downloads: ClassVar = {"txt": "Text"}
    ask: Any = None

    @property
    def shown(self) -> str:
        return f"{self.stem}.txt"

    def make(self, results: Results, folder: Path) -> None:
        write_text(folder / self.shown, str(self.ask(results)))


def first(results: Results) -> object:
    return results.manifest(next(run.id for run in results.runs.values() if "st" in run.names))["seconds"]


def raising(error: BaseException) -> Any:
    def ask(results: Results) -> None:
        raise error

    return ask


NOTES = [Note("one", "One", first), Note("two", "Two", lambda results: results.note)]


def made(project: StudyProject, sections: Any) -> dict[str, str]:
    found = Results(project.plan, project.layout)
    return {one.section.anchor: one.state for one in build(found, sections, project.page)}


def test_what_is_current_is_kept(mine: StudyProject) -> None:
    assert made(mine, NOTES) == {"one": "made", "two": "made"}
    assert (mine.page / "tables/one.txt").read_text() == "62.0"
    assert made(mine, NOTES) == {"one": "kept", "two": "kept"}


def test_another_answer_makes_a_section_anew_and_no_other(mine: StudyProject) -> None:
    made(mine, NOTES)
    run = next(iter(mine.plan.runs.values()))
    mine.train(run, slope=2)
    assert made(mine, NOTES) == {"one": "made", "two": "kept"}
    mine.write(**{"scales/tiny/note": "another"})
    assert made(mine, NOTES) == {"one": "kept", "two": "made"}
    assert (mine.page / "tables/two.txt").read_text() == "another"


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("x")])
def test_a_deleted_or_damaged_file_comes_back(mine: StudyProject, damage: Any) -> None:
    made(mine, NOTES)
    damage(mine.page / "tables/one.txt")
    assert made(mine, NOTES) == {"one": "made", "two": "kept"}
    assert (mine.page / "tables/one.txt").read_text() == "62.0"


def test_other_code_or_another_title_makes_sections_anew(mine: StudyProject, monkeypatch: Any) -> None:
    made(mine, NOTES)
    assert made(mine, [Note("one", "Uno", first), NOTES[1]]) == {"one": "made", "two": "kept"}
    monkeypatch.setattr(building, "section_code", lambda study, section: "other")
    assert made(mine, NOTES) == {"one": "made", "two": "made"}


def test_a_section_that_raises_is_marked_loses_its_files_and_stops_no_other(mine: StudyProject) -> None:
    made(mine, NOTES)
    broken = [Note("one", "One", raising(ValueError("what\nhappened"))), NOTES[1]]
    mine.train(next(iter(mine.plan.runs.values())), slope=2)
    one, two = build(Results(mine.plan, mine.layout), broken, mine.page)
    assert (one.state, one.message) == ("failed", "ValueError: what")
    assert "test_build.py" in one.traceback
    assert two.state == "kept"
    assert not (mine.page / "tables/one.txt").exists()
    assert made(mine, NOTES) == {"one": "made", "two": "kept"}


def test_an_error_of_ours_is_told_as_it_is(mine: StudyProject) -> None:
    (one,) = build(Results(mine.plan, mine.layout), [Note("one", "", raising(ConfigError("no")))], mine.page)
    assert one.message == "no"


def test_what_failed_is_tried_again(mine: StudyProject) -> None:
    answers = iter([ZeroDivisionError(), None])

    def ask(results: Results) -> str:
        if error := next(answers):
            raise error
        return "well"

    section = Note("one", "One", ask)
    assert made(mine, [section]) == {"one": "failed"}
    assert made(mine, [section]) == {"one": "made"}


def test_an_interruption_costs_one_section(mine: StudyProject) -> None:
    stopped = [*NOTES, Note("three", "Three", raising(KeyboardInterrupt()))]
    with pytest.raises(KeyboardInterrupt):
        made(mine, stopped)
    assert made(mine, [*NOTES, Note("three", "Three", first)]) == {
        "one": "kept",
        "two": "kept",
        "three": "made",
    }


def test_the_files_of_sections_that_are_no_more_go(mine: StudyProject) -> None:
    made(mine, NOTES)
    assert made(mine, NOTES[:1]) == {"one": "kept"}
    assert not (mine.page / "tables/two.txt").exists()
    assert set(json.loads((mine.page / RECORDS).read_text())) == {"one"}


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"one": 3}', '{"one": {"files": {"../../precious": "0"}}}', '{"one": {"files": 1}}'],
)
def test_damaged_records_make_everything_anew_and_remove_nothing_else(
    mine: StudyProject, content: str
) -> None:
    write_text(mine.folder / "precious", "mine")
    write_text(mine.page / RECORDS, content)
    assert made(mine, NOTES) == {"one": "made", "two": "made"}
    assert (mine.folder / "precious").is_file()


def test_what_was_built_is_recalled_without_making_anything(mine: StudyProject) -> None:
    broken = Note("three", "Three", raising(ValueError("no")))
    made(mine, [*NOTES, broken])
    (mine.page / "tables/two.txt").unlink()
    found = {one.section.anchor: (one.state, one.message) for one in recall([*NOTES, broken], mine.page)}
    assert found == {
        "one": ("kept", ""),
        "two": ("failed", NOT_MADE),
        "three": ("failed", "ValueError: no"),
    }


def test_another_run_leaves_the_curves_of_the_others_alone(mine: StudyProject) -> None:
    found = Results(mine.plan, mine.layout)
    build(found, all_sections(found), mine.page)
    mine.write(**{"runs/late": {"method": "trades", "init": "st", "beta": 2.0}})
    late = next(run for run in mine.plan.runs.values() if "late" in run.names)
    mine.train(late)
    mine.evaluate(late)
    found = Results(mine.plan, mine.layout)
    states = {one.section.anchor: one.state for one in build(found, all_sections(found), mine.page)}
    curves = {anchor: state for anchor, state in states.items() if anchor.startswith("training/")}
    assert curves.pop(f"training/{late.id}") == "made"
    assert set(curves.values()) == {"kept"}
    assert len(curves) == 2
    assert states["training_overview"] == "made"


# ------------------------------------------------------------------------------------------------ report.py
SECTION = """from robustfront.reporting.sections import TableSection
from robustfront.reporting.default import table
"""


def sections(project: StudyProject, **files: str) -> list[str]:
    for name, text in files.items():
        write_text(project.study / f"{name}.py", text)
    found = Results(project.plan, project.layout)
    return [section.anchor for section in report_sections(found)]


def test_a_study_without_a_report_gets_the_default_one(mine: StudyProject) -> None:
    assert sections(mine) == ["runs", "front"]


def test_a_report_may_use_files_beside_it_even_called_like_pythons_own(mine: StudyProject) -> None:
    report = SECTION + "from .random import NAME\nSECTIONS = [TableSection(NAME, 'A title', table)]"
    assert sections(mine, report=report, random="NAME = 'mine'") == ["mine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "SECTIONS is missing"),
        ("SECTIONS = [1]", "SECTIONS is missing, or is no list of sections"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError: division by zero"),
        (SECTION + "SECTIONS = 2 * [TableSection('a', 'A', table)]", "cannot be called 'a'"),
        (SECTION + "SECTIONS = [TableSection('run', 'A', table)]", "cannot be called 'run'"),
        (SECTION + "SECTIONS = [TableSection('../a', 'A', table)]", "cannot be called '../a'"),
    ],
)
def test_a_report_that_cannot_be_used_is_named(mine: StudyProject, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"mine/report\.py: .*{message}"):
        sections(mine, report=text)
