"""Every fault ends in one message, the one that docs/faults.md quotes, and damages nothing.

To rewrite the page after a message has changed: ROBUSTFRONT_WRITE_FAULTS=1 pytest -n0 tests/faults
"""

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import listed
import pytest
from arena import FAULTS, Arena, Fault

from robustfront import cli
from small_project import Project

PAGE = "docs/faults.md"
HEAD = "| fault | exit code and message | what you still have |\n|---|---|---|\n"


def plain(message: str, folder: Path) -> str:
    """The message without what differs between machines and versions of the config."""
    message = message.replace(f"{folder}/", "").replace("\n", " ")
    message = re.sub(r"\b[0-9a-f]{64}\b", "…", message)
    return re.sub(r"-[0-9a-f]{6,8}\b", "-…", message)


def row(fault: Fault, code: int, message: str) -> str:
    return f"| {fault.name} | {code}: `` {message} `` | {fault.after} |\n"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("results", "reports", "own", "raw")
        for path in (folder / part).rglob("*")
        if path.is_file() and not path.name.endswith(".failed.ipynb")
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.make.__name__)
def test_one_message_and_nothing_damaged(
    fault: Fault,
    small_project: Project,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(small_project.folder)
    with ExitStack() as cleanup:
        words = fault.make(Arena(small_project, monkeypatch, cleanup))
        before = contents(small_project.folder)
        options = ["--params", "params.yaml", "--results", str(small_project.layout.results)]
        monkeypatch.setattr(sys, "argv", ["robustfront", *options, *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        err = capsys.readouterr().err
        assert contents(small_project.folder) == before, "something was written or damaged"
    assert leaving.value.code == fault.code
    *_, told = err.split("error: ")
    assert err.count("error: ") == 1 or fault.make is listed.failing_cell, err
    assert "Traceback" not in told
    assert not [*small_project.folder.rglob(".*")], "a temporary file is left"
    assert not (small_project.folder / "executed").exists()
    assert not [*small_project.folder.parent.rglob("escaped*")]
    found = row(fault, fault.code, "error: " + plain(told.strip(), small_project.folder))
    if os.environ.get("ROBUSTFRONT_WRITE_FAULTS"):
        rewrite(project / PAGE, fault, found)
    assert found in (project / PAGE).read_text(encoding="utf-8")


def rewrite(page: Path, fault: Fault, found: str) -> None:
    text = page.read_text(encoding="utf-8")
    head, _, table = text.partition(HEAD)
    rows = {name: line for line, name in re.findall(r"^(\| (.*?) \|.*\n)", table, re.M)} | {fault.name: found}
    ordered = "".join(rows[fault.name] for fault in FAULTS if fault.name in rows)
    page.write_text(head + HEAD + ordered, encoding="utf-8")


def test_the_page_lists_these_faults_and_no_others(project: Path) -> None:
    _, _, table = (project / PAGE).read_text(encoding="utf-8").partition(HEAD)
    assert re.findall(r"^\| (.*?) \|", table, re.M) == [fault.name for fault in FAULTS]
