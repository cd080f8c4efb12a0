import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from robustfront.config import extensions
from robustfront.config.extensions import extend
from robustfront.config.schema import Config
from robustfront.errors import ConfigError
from robustfront.methods import methods
from robustfront.methods.base import Entry, Losses, Method, register

# Annotations as strings, which pydantic can resolve only if the module can be found by its name.
EXTENSION = '''
from __future__ import annotations
from typing import Literal
from robustfront.config.schema import Config
from robustfront.methods.base import Method, register

Kind = Literal["a", "b"]

class Params(Config):
    kind: Kind = "a"
    weight: float = {weight}

@register("{name}", source="nowhere")
class Mine(Method):
    """Mine."""
    Params = Params
'''


@pytest.fixture(autouse=True)
def restored(monkeypatch) -> None:
    monkeypatch.setattr(methods, "entries", dict(methods.entries))


def found(*files: Path) -> dict[str, Entry]:
    """The methods that are known once these files have been read."""
    extend(files)
    return methods.entries


@pytest.fixture
def extension(tmp_path):
    def write(name="mine", weight=1.0, file="mine.py") -> Path:
        path = tmp_path / file
        path.write_text(EXTENSION.format(name=name, weight=weight))
        return path

    return write


def test_the_methods_of_table_1_are_known() -> None:
    assert {"standard", "pgd_at", "trades", "score", "npda", "npgd"} <= set(methods.entries)
    assert all(entry.source and entry.summary.endswith(".") for entry in methods.entries.values())


@pytest.mark.parametrize(
    ("name", "params", "label"),
    [
        ("standard", {"loss": "lse"}, "standard-lse"),
        ("pgd_at", {}, "pgd-at"),
        ("trades", {"beta": 0.01}, "trades-b0.01"),
        ("score", {"beta": 6}, "score-b6"),
        ("npda", {"generator": "score", "beta": 1.5}, "npda-score-b1.5"),
        ("npgd", {"generator": "pgd", "beta": 1.5}, "npgd-pgd-b1.5"),
    ],
)
def test_labels_of_runs(name, params, label) -> None:
    entry = methods[name]
    if name != "standard":
        params = {"threat": {"eps": "8/255"}, "attack": {"steps": 10, "step_size": "2/255"}} | params
    assert entry.label(entry.method.Params.model_validate(params)) == label


def test_defaults_are_the_papers_where_it_names_them() -> None:
    fields = {name: methods[name].method.Params.model_fields for name in ("npda", "npgd", "trades")}
    assert fields["npda"]["zero_start"].default == "hold"
    assert fields["npgd"]["bias"].default == "frozen"
    assert fields["trades"]["attack_mode"].default == "eval"
    assert fields["trades"]["beta"].is_required()


def test_reading_the_methods_imports_no_torch() -> None:
    code = "import sys, robustfront.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_method_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown method 'trade' \(did you mean 'trades'\?\)"):
        methods["trade"]


def test_extension_is_registered_and_read_anew_each_time(extension) -> None:
    first = found(extension())["mine"].method.Params(kind="b")
    assert (first.kind, first.weight) == ("b", 1.0)
    assert found(extension(weight=22.0))["mine"].method.Params().weight == 22.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("def f(:", "cannot be imported: SyntaxError"),
        (
            EXTENSION.format(name="trades", weight=1),
            r"method 'trades' is defined twice: by TRADES of .*adversarial and by Mine of .*broken.py",
        ),
    ],
)
def test_extension_that_fails_is_named(content, message, tmp_path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(content)
    with pytest.raises(ConfigError, match=rf"extensions: .*broken\.py.*{message}"):
        found(path)


@pytest.mark.parametrize("name", ["missing.py", "notes.txt", ""])
def test_extension_that_is_no_python_file_is_named(name, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"extensions: .*: not a Python file"):
        found(tmp_path / name)


def test_two_files_may_have_the_same_name_but_not_the_same_method(extension, tmp_path) -> None:
    (tmp_path / "other").mkdir()
    other = extension(name="theirs", file="other/mine.py")
    assert {"mine", "theirs"} <= set(found(extension(), other))
    with pytest.raises(ConfigError, match="method 'mine' is defined twice"):
        found(extension(name="mine", file="other/mine.py"))


def test_two_classes_of_one_file_cannot_share_a_name() -> None:
    register("mine", source="here")(type("First", (Method,), {"Params": Config}))
    with pytest.raises(ConfigError, match=r"by First of .* and by Second of .*; rename one"):
        register("mine", source="here")(type("Second", (Method,), {"Params": Config}))


@pytest.fixture
def installed(monkeypatch):
    """Has a package be installed that offers a module of this name."""

    def offer(module: str) -> None:
        point = EntryPoint("theirs", module, "robustfront.extensions")
        asked = {"robustfront.extensions": (point,)}
        monkeypatch.setattr(extensions, "entry_points", lambda group: asked.get(group, ()))
        extensions.installed.cache_clear()

    yield offer
    extensions.installed.cache_clear()


def test_method_of_an_installed_package(installed, monkeypatch, extension, tmp_path) -> None:
    extension(name="packaged", file="package_with_a_method.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed("package_with_a_method")
    assert "packaged" in found()


def test_installed_package_that_fails_is_named(installed) -> None:
    installed("nothing_of_that_name")
    with pytest.raises(ConfigError, match=r"entry point 'theirs' cannot be imported: ModuleNotFoundError"):
        found()


def test_total_adds_up_the_parts_and_keeps_their_type() -> None:
    parts = {"a": torch.tensor(1.0).double(), "b": torch.tensor(2.5).double()}
    assert Losses(parts).total.item() == 3.5
    assert Losses({"a": parts["a"]}).total.dtype == torch.float64


def test_a_method_need_only_say_what_it_changes() -> None:
    class Plain(Method):
        Params = Config

    assert (Plain.budget, Plain.needs_null_space) == ("adversarial", False)
    assert Plain.units(None) is None, "nobody knows"
    with pytest.raises(NotImplementedError):
        Plain.losses(None, None, None, None, None)
