import datetime
import io
import re
import shutil
import string
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml, parse_yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from robustfront.config.yaml_loader import dump_yaml, load_yaml
from robustfront.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PARAMS = [ROOT / "params.yaml", *sorted((ROOT / "params").glob("*.yaml"))]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yaml") / "params.yaml"


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    return str(caught.value)


TRAPS = {
    "1e-3": 0.001,
    "1.0e-5": 1e-5,
    "1e3": 1000.0,
    ".5": 0.5,
    "1.": 1.0,
    "-.5e+3": -500.0,
    ".inf": float("inf"),
    "no": "no",
    "on": "on",
    "y": "y",
    "True": True,
    "FALSE": False,
    "010": 10,
    "0o17": 15,
    "0x10": 16,
    "1_000": 1000,
    "+1": 1,
    "12:30": "12:30",
    "1:2:3": "1:2:3",
    "~": None,
    "null": None,
    "": None,
    "2020-01-01": datetime.date(2020, 1, 1),
    "8/255": "8/255",
    "'1'": "1",
    "!!str 1": "1",
}


@pytest.mark.parametrize("text", TRAPS)
def test_scalars_mean_what_yaml_1_2_says_and_dvc_reads(text: str, scratch: Path) -> None:
    scratch.write_text(f"a: {text}\n")
    ours = load_yaml(scratch)["a"]
    assert (ours, type(ours)) == (TRAPS[text], type(TRAPS[text]))
    theirs = parse_yaml(scratch.read_text(), scratch)["a"]
    assert (ours, type(ours)) == (theirs, type(theirs))


SCALARS = st.text(alphabet="0123456789_.:+-eExXobnNaAifFtTruUlLyYsS~=<!/ ", max_size=8)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(string.printable),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(SCALARS)
def test_any_scalar_is_read_as_by_dvc_or_refused_by_both(scratch: Path, text: str) -> None:
    content = f"a: {text}\n"
    scratch.write_text(content)
    try:
        theirs = parse_yaml(content, scratch)
    except Exception:
        with pytest.raises(ConfigError):
            load_yaml(scratch)
        return
    assert repr(load_yaml(scratch)) == repr(theirs)


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.name)
def test_params_of_the_project_are_read_as_by_dvc(path: Path) -> None:
    assert load_yaml(path) == parse_yaml(path.read_text(), path)


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.name)
def test_params_of_the_project_are_in_the_style_that_dvc_writes(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    with modify_yaml(copy) as content:
        assert content == load_yaml(path)
    assert copy.read_text() == path.read_text()


def test_dvc_changes_the_line_of_what_it_sets(tmp_path: Path) -> None:
    (original,) = (path for path in PARAMS if path.name == "npat.yaml")
    copy = tmp_path / "npat.yaml"
    copy.write_text(original.read_text())
    with modify_yaml(copy) as content:
        content["runs"]["trades"]["beta"] = 6
    lines = zip(original.read_text().split("\n"), copy.read_text().split("\n"), strict=True)
    assert [(before, after) for before, after in lines if before != after] == [
        ("  trades: {method: trades, init: st, beta: 1.5}", "  trades: {method: trades, init: st, beta: 6}")
    ]


def test_anchors_and_merge_keys_are_followed(scratch: Path) -> None:
    scratch.write_text("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n")
    assert load_yaml(scratch) == {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}, "c": {"p": 1, "q": 2}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r", line 3: not valid YAML: key 'a' is given twice$"),
        ("a:\n  b: 1\n  b: 2\n", r", line 3: .*'b' is given twice"),
        ("a: 1\nb:\n\tc: 1\n", r", line 3: .*indent with spaces"),
        ("a: {b: 1\n", r", line \d: not valid YAML"),
        ("a: *nowhere\n", r", line 1: .*undefined alias"),
        ("a: 1\n--- \nb: 2\n", r", line 2: .*another document"),
        ("a: 1\nb: \0\n", r", line 2: .*special characters"),
        (b"a: 1\nb: \xff\n", r", line 2: byte 0xff is not UTF-8"),
        ("a: !!python/object/apply:os.system [true]\n", r", line 1: .*constructor"),
        ("a: 2020-13-45\n", r": not valid YAML: .*month"),
        ("a: " + "[" * 1000, r": not valid YAML: RecursionError"),
        ("", r": must hold a mapping of keys to values, not null$"),
        ("# nothing\n", r": must hold a mapping of keys to values, not null$"),
        ("- 1\n- 2\n", r": must hold a mapping of keys to values, not a list$"),
        ("word\n", r": must hold a mapping of keys to values, not 'word'$"),
        ("a: {b: [{1: 2}]}\n", r": a\.b\[0\]: key 1 must be a word; put it in quotes$"),
        ("true: 2\n", r": key True must be a word; put it in quotes$"),
        ("a: &x [1, *x]\n", r": a\[1\]: the alias contains itself$"),
        ("a: &x {b: *x}\n", r": a\.b: the alias contains itself$"),
    ],
)
def test_what_is_no_mapping_of_words_is_refused_with_its_place(
    content: str | bytes, message: str, scratch: Path
) -> None:
    text = refusal(scratch, content)
    assert re.match(re.escape(str(scratch)) + message, text)
    assert "\n" not in text


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_whatever_bytes_give_a_mapping_or_a_config_error(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    with suppress(ConfigError):
        assert isinstance(load_yaml(scratch), dict)


def test_many_references_to_one_anchor_are_checked_once(scratch: Path) -> None:
    levels = [f"k{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30)]
    scratch.write_text("\n".join(["k0: &l0 [x]", *levels]))
    assert len(load_yaml(scratch)) == 30


def test_a_missing_file_and_a_folder_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file; .*--params"):
        load_yaml(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_yaml(tmp_path)


@given(TREES)
def test_what_is_written_reads_the_same_by_yaml_1_2_and_1_1(value: object) -> None:
    text = dump_yaml({"value": value})
    assert YAML(typ="safe").load(io.StringIO(text)) == {"value": value}
    if isinstance(value, float):
        assert yaml.safe_load(text) == {"value": value}


def test_order_is_kept_and_small_floats_have_a_point() -> None:
    assert dump_yaml({"z": 1e-5, "a": [1, None, True]}) == "z: 1.0e-05\na:\n- 1\n- null\n- true\n"


def test_an_anchor_that_is_given_twice_is_the_nearer_one(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")
    assert load_yaml(path) == {"a": 1, "b": 1, "c": 2, "d": 2}
    assert not recwarn.list


def numbers(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    """Dotted key -> number, of all that DVC can name."""
    if isinstance(node, dict):
        for key, value in node.items():
            if "." not in key:
                yield from numbers(value, (*path, key))
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield ".".join(path), node


def test_an_experiment_changes_the_line_of_its_number_and_no_other(tmp_path: Path) -> None:
    """As `dvc exp run -S file:key=value` does. A later alias of an anchor would undo it."""
    for source in PARAMS:
        before, copied = source.read_text().splitlines(), tmp_path / source.name
        edited = 0
        found = list(numbers(load_yaml(source)))
        for key, number in found[
            :: max(3, len(found) // 8)
        ]:  # of large files, some: each is read and written
            shutil.copy(source, copied)
            apply_overrides(copied, [f"{key}={number + 1}"])
            after = copied.read_text().splitlines()
            assert len(after) == len(before), (source, key)
            changed = [line for line, other in zip(after, before, strict=True) if line != other]
            assert len(changed) == 1, (source, key, changed)
            edited += 1
        assert edited > 5


@pytest.mark.parametrize("source", [*PARAMS, *sorted((ROOT / "src").rglob("*.yaml"))], ids=str)
def test_both_parsers_read_the_same_in_all_that_ships(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    assert YAML(typ="safe").load(text) == YAML(typ="safe", pure=True).load(text)
