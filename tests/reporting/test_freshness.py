import os
import time

import pytest

from robustfront.artefacts import read_json, write_json, write_text
from robustfront.reporting import freshness


@pytest.fixture
def reported(finished, tmp_path):
    """A report of one page, and a notebook."""
    write_text(tmp_path / "notebooks" / "a.py", "# %%")
    write_text(finished.reports / "index.html", "a page")
    page = [finished.reports / "index.html"]
    freshness.write(finished.plan, finished.layout, finished.reports, tmp_path / "notebooks", page)
    return finished


def is_current(project) -> bool:
    notebooks = project.reports.parent / "notebooks"
    return freshness.is_current(project.plan, project.layout, project.reports, notebooks)


def test_a_report_is_current_whatever_the_times(reported) -> None:
    assert is_current(reported)
    for path in reported.reports.parent.rglob("*"):
        os.utime(path, (1, 1))
    assert is_current(reported)


@pytest.mark.parametrize("pattern", ["manifest.json", "eval/*.json"])
def test_another_result_makes_it_old_and_the_same_result_current_again(reported, pattern: str) -> None:
    found = sorted(path for run in reported.plan.runs for path in reported.layout.run(run).glob(pattern))
    content = read_json(found[0])
    write_json(found[0], content | {"edited": 1})
    assert not is_current(reported)
    write_json(found[0], content)
    assert is_current(reported)
    found[0].unlink()
    assert not is_current(reported)


def test_other_notebooks_and_names_make_it_old(reported) -> None:
    write_text(reported.reports.parent / "notebooks" / "b.py", "# %%")
    assert not is_current(reported)
    (reported.reports.parent / "notebooks" / "b.py").unlink()
    assert is_current(reported)
    reported.plan.note = "another"
    assert not is_current(reported)


def test_it_is_old_as_soon_as_a_part_is_to_change(reported) -> None:
    freshness.invalidate(reported.reports)
    assert not is_current(reported)
    freshness.invalidate(reported.reports)


def test_the_stamp_is_newer_than_a_report_from_the_future_and_new_each_time(reported) -> None:
    page = reported.reports / "index.html"
    os.utime(page, (time.time() + 1e6,) * 2)
    path = freshness.stamp(reported.layout.results, reported.reports)
    first = path.read_text()
    assert page.stat().st_mtime < path.stat().st_mtime <= time.time()
    assert freshness.stamp(reported.layout.results, reported.reports).read_text() != first
