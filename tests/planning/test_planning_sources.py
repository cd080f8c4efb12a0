import shutil
from pathlib import Path

import pytest

import robustfront
from robustfront.methods import load_methods
from robustfront.methods.base import Entry, Method
from robustfront.planning import sources


def trades() -> Entry:
    return load_methods()["trades"]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A copy of the package that may be edited."""
    copy = tmp_path / "robustfront"
    shutil.copytree(Path(robustfront.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(robustfront, "__file__", str(copy / "__init__.py"))
    return copy


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("losses.py", True),
        ("methods/parts.py", True),
        ("attacks/engine.py", True),
        ("models/preact_resnet.py", True),
        ("data/augment.py", True),
        ("training/loop.py", True),
        ("config/schema.py", True),
        ("cli/__init__.py", False),
        ("reporting/tables.py", False),
        ("evaluation/statistics.py", False),
        ("planning/plan.py", False),
    ],
)
def test_digest_changes_with_sources_that_matter(file, counts, package) -> None:
    before = sources.source_digest(trades())
    assert before == sources.source_digest(trades())
    path = package / file
    path.write_text(path.read_text() + "\n# edited\n")
    assert (sources.source_digest(trades()) != before) == counts


def test_digest_sees_a_new_and_a_renamed_file(package) -> None:
    digests = [sources.source_digest(trades())]
    (package / "methods" / "new.py").write_text("")
    digests.append(sources.source_digest(trades()))
    (package / "methods" / "new.py").rename(package / "methods" / "renamed.py")
    digests.append(sources.source_digest(trades()))
    assert len(set(digests)) == 3


def test_digest_is_that_of_the_content_not_of_the_place(package, tmp_path, monkeypatch) -> None:
    here = sources.source_digest(trades())
    shutil.copytree(package, tmp_path / "elsewhere" / "robustfront")
    monkeypatch.setattr(robustfront, "__file__", str(tmp_path / "elsewhere" / "robustfront" / "__init__.py"))
    assert sources.source_digest(trades()) == here


def test_digest_sees_the_file_of_a_users_method(package, tmp_path, monkeypatch) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class Mine: ...\n")
    monkeypatch.setattr(sources.inspect, "getfile", lambda kind: str(path))
    entry = Entry("mine", Method, "", lambda params: "mine")
    before = sources.source_digest(entry)
    path.write_text("class Mine: pass\n")
    assert sources.source_digest(entry) != before
