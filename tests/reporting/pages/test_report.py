import re
import sys
from pathlib import Path

import pytest
from study_project import StudyProject

from robustfront.artefacts import read_json, write_text
from robustfront.errors import NotebookFailed
from robustfront.planning import sources
from robustfront.reporting import study_report
from robustfront.reporting.freshness import is_current
from robustfront.reporting.places import notebook_source
from robustfront.studies.report import report

OWN = """
from robustfront.reporting.default import table
from robustfront.reporting.sections import TableSection
SECTIONS = [TableSection("wrong", "Table 9", lambda results: 1 / 0), TableSection("right", "Another", table)]
"""


def reported(project: StudyProject) -> list[str]:
    """As a process of its own would: code that it has read is not read again."""
    for read in (study_report._module, sources.modules, sources._source, sources._lazy_names):
        read.cache_clear()
    for name in [name for name in sys.modules if name.startswith("robustfront_study_")]:
        del sys.modules[name]
    return report(project.plan, project.layout, project.page, project.params)


def times(project: StudyProject) -> dict[str, int]:
    return {
        path.relative_to(project.page).as_posix(): path.stat().st_mtime_ns
        for path in project.page.rglob("*")
        if path.is_file()
    }


def test_a_report_is_made_kept_and_mended(mine: StudyProject) -> None:
    assert reported(mine) == []
    assert is_current(mine.plan, mine.layout, mine.page)
    record = read_json(mine.page / "record.json")
    there = {name for name in times(mine) if name != "record.json"}
    assert set(record["sizes"]) == there == {name for name in record["checksums"] if name != "record.json"}
    before = times(mine)
    (mine.page / "tables/runs.csv").unlink()
    assert not is_current(mine.plan, mine.layout, mine.page)
    assert reported(mine) == []
    after = times(mine)
    changed = {name for name, time in after.items() if before[name] != time}
    assert changed == {
        *(f"tables/runs.{suffix}" for suffix in ("csv", "md", "tex", "html")),
        *("index.html", "notebook.html", "sections.json", "record.json"),
    }
    assert is_current(mine.plan, mine.layout, mine.page)


def test_the_notebook_is_a_page_of_its_own_that_shows_the_sections(mine: StudyProject) -> None:
    reported(mine)
    html = (mine.page / "notebook.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#|index\.html)', html), "a resource outside the page"
    assert "load_plan" not in html, "code is shown"
    assert "32.00" in html
    assert html.count("data:image/png") == 2


def test_a_failed_section_stops_no_other_and_is_tried_again(
    mine: StudyProject, capfd: pytest.CaptureFixture[str]
) -> None:
    write_text(mine.study / "report.py", OWN)
    complaint = "mine: Table 9 could not be made: ZeroDivisionError: division by zero"
    assert reported(mine) == [complaint]
    assert "1 / 0" in capfd.readouterr().err
    assert not is_current(mine.plan, mine.layout, mine.page)
    assert (mine.page / "tables/right.csv").is_file()
    assert "Table 9" in (mine.page / "notebook.html").read_text(encoding="utf-8")
    write_text(mine.study / "report.py", OWN.replace("lambda results: 1 / 0", "table"))
    assert reported(mine) == []


def test_missing_results_are_complaints_and_the_page_is_there(empty: StudyProject) -> None:
    empty.finish(only=1)
    assert reported(empty) == ["mine: not made yet (pgd-at)"]
    assert (empty.page / "index.html").is_file()
    assert not is_current(empty.plan, empty.layout, empty.page)


def test_a_study_may_bring_its_notebook(mine: StudyProject) -> None:
    shared = notebook_source(mine.plan.study).read_text(encoding="utf-8")
    write_text(mine.study / "notebook.py", shared.replace("# # A study", "# # Only mine"))
    assert reported(mine) == []
    assert "Only mine" in (mine.page / "notebook.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_loaded_is_named(mine: StudyProject) -> None:
    write_text(mine.study / "report.py", "import nothing_of_that_name")
    with pytest.raises(NotebookFailed, match=r"mine/report\.py: cannot be loaded: ModuleNotFoundError"):
        reported(mine)
    assert not (mine.page / "record.json").exists()


def test_files_of_the_current_folder_do_not_come_before_pythons_own_modules(
    mine: StudyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random.py", "logging.py", "yaml.py"):
        write_text(mine.folder / name, "raise RuntimeError('not me')")
    monkeypatch.chdir(mine.folder)
    assert reported(mine) == []


def test_our_notebooks_are_thin(project: Path) -> None:
    notebooks = sorted((project / "notebooks").glob("*.py"))
    assert [path.name for path in notebooks] == ["npat.py", "study.py"]
    for path in notebooks:
        code = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
        assert len(code) < 25
