"""Every fault ends in one message, the one that docs/faults.md quotes, and damages nothing.

To rewrite the page after a message has changed: ROBUSTFRONT_WRITE_FAULTS=1 pytest -n0 tests/faults
"""

import hashlib
import json
import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import listed
import pytest
from arena import FAULTS, Arena, Fault

from robustfront import cli
from small_project import Project

PAGE = "docs/faults.md"
UNTOLD = (listed.full_results, listed.read_only_results, listed.locked_run, listed.locked_evaluation)
"""Where a failure cannot be remembered, or is none of the run."""

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


def is_finished(after: dict[str, bytes], path: Path) -> bool:
    """Whether a file that came meanwhile may stay: of an evaluation that was done, a page, or what failed."""
    if path.parts[0] == "reports":
        return True
    record = path.with_suffix(".json")
    if path.parent.name != "eval" or str(record) not in after:
        return path.name == "failure.json"
    expected = json.loads(after[str(record)])["checksums"]
    return path == record or expected[path.name] == hashlib.sha256(after[str(path)]).hexdigest()


def command(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and message of the command: its error, its one warning, or what it says is damaged."""
    code = 0
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            cli.main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    out, err = capsys.readouterr()
    if words == ("verify",):
        (told,) = (line for line in out.splitlines() if line.startswith("damaged: "))
        return code, told
    if code == 0:
        (told,) = (f"warning: {one.message}" for one in warned if one.category is UserWarning)
        return code, told
    _, head, told = err.rpartition("error: ")
    assert err.count("error: ") == 1 or "its traceback is in" in told, err
    return code, head + told.strip()


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
        options = ["--params", "params.yaml", "--results", "results"]
        monkeypatch.setattr(sys, "argv", ["robustfront", *options, *words])
        capsys.readouterr()
        code, told = command(words, capsys)
        after = contents(small_project.folder)
        assert before.items() <= after.items(), "something was damaged"
        unfinished = {name for name in after.keys() - before.keys() if not is_finished(after, Path(name))}
        assert not unfinished, "something was half written"
    assert code == fault.code
    assert "Traceback" not in told
    assert not [*small_project.folder.rglob(".*")], "a temporary file is left"
    assert not (small_project.folder / "executed").exists()
    assert not [*small_project.folder.parent.rglob("escaped*")]
    if words[0] in ("train", "evaluate"):
        check_memory(fault, small_project.layout.failure(words[1]), told)
    found = row(fault, code, plain(told, small_project.folder))
    if os.environ.get("ROBUSTFRONT_WRITE_FAULTS"):
        rewrite(project / PAGE, fault, found)
    assert found in (project / PAGE).read_text(encoding="utf-8")


def check_memory(fault: Fault, path: Path, told: str) -> None:
    """What the report is to say of the run is remembered, where that can be written."""
    if fault.code == 1 and fault.make not in UNTOLD:
        found = json.loads(path.read_text())
        assert told == f"error: {found['message']}"
        assert found["state"] == ("diverged" if fault.make is listed.diverging else "failed")
    else:
        assert not path.exists()


def rewrite(page: Path, fault: Fault, found: str) -> None:
    text = page.read_text(encoding="utf-8")
    head, _, table = text.partition(HEAD)
    rows = {name: line for line, name in re.findall(r"^(\| (.*?) \|.*\n)", table, re.M)} | {fault.name: found}
    ordered = "".join(rows[fault.name] for fault in FAULTS if fault.name in rows)
    page.write_text(head + HEAD + ordered, encoding="utf-8")


def test_the_page_lists_these_faults_and_no_others(project: Path) -> None:
    _, _, table = (project / PAGE).read_text(encoding="utf-8").partition(HEAD)
    assert re.findall(r"^\| (.*?) \|", table, re.M) == [fault.name for fault in FAULTS]
