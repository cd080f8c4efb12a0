import errno
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustfront.artefacts import (
    Layout,
    atomic_write,
    date_back,
    read_json,
    require_writable,
    sha256,
    write_json,
    write_text,
)
from robustfront.errors import ArtefactError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that was written before."""
    path = tmp_path / "artefact.txt"
    path.write_text("old")
    return path


def fail(error: BaseException) -> Any:
    def raising(*_: Any, **__: Any) -> None:
        raise error

    return raising


def test_a_file_appears_whole_and_alone_in_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "artefact.txt"
    with atomic_write(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [*path.parent.iterdir()] == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_older_file_is_replaced_only_at_the_end(old: Path) -> None:
    with atomic_write(old) as temporary:
        temporary.write_text("new")
        assert old.read_text() == "old"
    assert old.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failing_body_leaves_the_old_file_and_no_other(error: BaseException, old: Path) -> None:
    def write_half() -> None:
        with atomic_write(old) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert old.read_text() == "old"
    assert [*old.parent.iterdir()] == [old]


@pytest.mark.parametrize(
    "step", ["pathlib.Path.write_text", "os.fsync", "pathlib.Path.replace", "tempfile.mkstemp"]
)
def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(
    step: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, fail(FULL))
    with pytest.raises(ArtefactError) as caught:
        write_text(old, "new")
    monkeypatch.undo()
    message = f"{old}: cannot be written: No space left on device; free the disk or fix the permissions"
    assert str(caught.value).startswith(message)
    assert old.read_text() == "old"
    assert [*old.parent.iterdir()] == [old]


def test_a_folder_that_cannot_be_made_is_an_artefact_error(old: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be written"):
        write_text(old / "below" / "a file", "text")


def test_what_replaces_a_file_was_synced_before(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_text(old, "new")
    assert calls == ["fsync", "replace"]


def test_what_killed_writers_left_goes_and_what_living_ones_write_stays(old: Path) -> None:
    leftover = old.with_name(f".{old.name}.abc.txt")
    leftover.write_text("half")
    other = old.with_name(".another.txt.abc.txt")
    other.write_text("half")
    with atomic_write(old) as first:
        first.write_text("first")
        write_text(old, "second")
        assert first.exists()
    assert old.read_text() == "first"
    assert {*old.parent.iterdir()} == {old, other}


def test_a_place_that_cannot_be_written_to_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable(tmp_path / "not" / "yet")
    assert not (tmp_path / "not").exists()
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(ArtefactError, match=rf"^{tmp_path}: cannot be written to; make it writable"):
        require_writable(tmp_path / "not" / "yet")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_is_read_as_written(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("json", numbered=True) / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_json_does_not_depend_on_the_order_of_keys_and_ends_in_a_newline(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write_json(first, {"b": 1, "a": [1, 2]})
    write_json(second, {"a": [1, 2], "b": 1})
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text().endswith("}\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_refused_and_the_old_file_stays(number: float, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": number})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}}', b"\xff\xfe", b'{"a": 1'])
def test_damaged_json_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"facts\.json: damaged .*; delete it and run `snakemake` again"):
        read_json(path)


def test_missing_and_unreadable_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"absent\.json: missing; run `snakemake` to make it"):
        read_json(tmp_path / "absent.json")
    with pytest.raises(ArtefactError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


@given(st.binary(max_size=100))
def test_sha256_is_that_of_the_content(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "content"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


def test_the_layout_is_that_of_the_architecture_page() -> None:
    layout = Layout(Path("r"), Path("c"))
    assert [
        layout.dataset("d"),
        layout.run("x"),
        layout.projector("p"),
        layout.evaluation("x", "s-1.5"),
        layout.checkpoint("x"),
    ] == [
        Path("r/datasets/d"),
        Path("r/runs/x"),
        Path("r/projectors/p"),
        Path("r/runs/x/eval/s-1.5"),
        Path("c/x"),
    ]


def test_files_from_the_future_are_dated_back_and_others_left_alone(tmp_path: Path) -> None:
    ahead, old, link = (tmp_path / name for name in ("ahead", "old", "link"))
    for path in (ahead, old):
        path.write_text("")
    os.utime(old, (1e9, 1e9))
    link.symlink_to(old)
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    for path in (ahead, link):
        os.utime(path, (time.time() + 1e6,) * 2, follow_symlinks=False)
    date_back(tmp_path)
    assert ahead.stat().st_mtime < time.time()
    assert link.lstat().st_mtime < time.time()
    assert old.stat().st_mtime == 1e9
    date_back(tmp_path / "missing")
