"""The project's own params.yaml and the file of a study, changed at every place in every way.

They are still a plan, or a message names the place.

`pytest -m slow tests/config/test_real_params_fuzz.py -s` tries every change there is and prints the counts.
"""

import copy
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from test_params_fuzz import JARGON, places

from robustfront.config.layers import dotted
from robustfront.errors import ConfigError
from robustfront.planning import load_plan
from robustfront.planning.render import render
from study_files import write_yaml

ROOT = Path(__file__).resolve().parents[2]
SHARED, STUDY = "params.yaml", "params/npat.yaml"
FILES = (SHARED, STUDY)
SECONDS = 2.0
OTHER_TYPES: list[Any] = [None, True, "nonsense", 7, [], {}, {"nonsense": 1}, [[]]]
NUMBERS: list[Any] = [-1, 0, -0.5, 1e30, 10**12, float("nan"), float("inf"), "8/0", "1e-3"]
TOKENS = [
    *("1e-3", "1e+3", "no", "on", "012", "0x1F", "12:30", "~", ".inf", "-.nan", "2001-01-01", "1_000", "<<"),
    *("!!python/object/apply:os.getcwd []", "!!binary aGk=", "*nowhere", "&here", '"open', "[1, 2", "{a: 1"),
    *("%", "@", "- 1", "a: b", "? x", "|", ">", "\t1", "#", "'", "é", "\x00", "!!int no", "!!float {}"),
    *("2x", "8/255/3"),
]

Path_ = tuple[str | int, ...]
Change = tuple[str, Path_, Any]


def written(name: str) -> str:
    """The real file, of whose studies one is left: each change would have all of them planned anew."""
    return re.sub(
        rf"^- params/(?!{Path(STUDY).name}$).*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE
    )


def real(name: str) -> dict[str, Any]:
    """Without the identity of YAML's aliases, by which one change would happen at two places."""
    return json.loads(json.dumps(YAML(typ="safe").load(written(name))))


def at(tree: Any, path: Path_) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def changes(tree: dict[str, Any]) -> Iterator[Change]:
    """Every single change: kind, place, new value or key."""
    for path in places(tree):
        old, key = at(tree, path), path[-1]
        yield "remove", path, None
        if isinstance(key, str):
            yield "misspell", path, key[:-1] + ("x" if key[-1] != "x" else "y")
            yield "add beside", path, "surprise"
        for value in OTHER_TYPES:
            if type(value) is not type(old):
                yield "other type", path, value
        if isinstance(old, (int, float)) and not isinstance(old, bool):
            for value in NUMBERS:
                yield "number", path, value
        if isinstance(old, str):
            yield "other word", path, old + "s"


def changed(tree: dict[str, Any], change: Change) -> tuple[dict[str, Any], Path_]:
    """The tree after the change, and the place that a message should name."""
    kind, path, value = change
    tree = copy.deepcopy(tree)
    *parents, key = path
    parent = at(tree, tuple(parents))
    if kind == "remove":
        del parent[key]
    elif kind == "misspell":
        parent[value] = parent.pop(key)
        path = (*parents, value)
    elif kind == "add beside":
        parent[value] = 1
        path = (*parents, value)
    else:
        parent[key] = value
    return tree, path


def write(folder: Path, changes: dict[str, Any]) -> None:
    """The real files, some of them changed: a file's name -> its text or its tree."""
    (folder / "params").mkdir(exist_ok=True)
    for name in FILES:
        content = changes.get(name, written(name))
        if isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            write_yaml(folder / name, content)


def outcome(folder: Path, changes: dict[str, Any], scale: str | None = None) -> str | None:
    """What the user is told about these files, checked to be readable and quick; None if they are a plan."""
    write(folder, changes)
    began = time.process_time()
    try:
        plan = load_plan(folder / SHARED, scale)
    except ConfigError as error:
        message = str(error)
    else:
        assert render(plan, folder)
        message = None
    assert time.process_time() - began < SECONDS
    for line in (message or "").splitlines():
        known = [f"{folder / name}{after}" for name in FILES for after in (": ", ", line ")]
        assert line.startswith((*known, "extensions: ")), message
        assert len(line) < len(str(folder)) + 400
        assert not JARGON.search(line.replace(f"{folder}", "")), line
    return message and message.replace(f"{folder}/", "")


def names(message: str, path: Path_) -> bool:
    """Whether the message says where the change is.

    By its key or by the mapping that it is in, in the layer where it was written or in a scale that lies over
    it; or, where things no longer fit together, by the name of what was changed, with which those of the runs
    of a sweep begin.
    """
    parents = [path, path[:-1]] if len(path) > 1 else [path]
    for place in parents:
        shown = dotted("", *place)
        if shown in message:
            return True
        if place and place[0] == "defaults":
            below = dotted("", *place[1:])
            if re.search(rf"scales\.[\w-]+\.{re.escape(below)}", message):
                return True
    words = {part for part in (path[-1], *path[1:2]) if isinstance(part, str)}
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", message) for word in words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


def test_the_files_themselves_are_a_plan_of_every_scale(folder: Path) -> None:
    for scale in real(STUDY)["scales"]:
        assert outcome(folder, {}, scale) is None
        assert outcome(folder, {name: real(name) for name in FILES}, scale) is None


def test_a_word_that_a_scale_lays_a_mapping_over_is_not_just_replaced(folder: Path) -> None:
    tree = real(STUDY)
    tree["defaults"]["suites"]["pixel-space"]["attacks"] = "pgd-20"
    assert outcome(folder, {STUDY: tree}) == (
        "params/npat.yaml: defaults.suites.pixel-space.attacks = 'pgd-20': must be a mapping of keys to "
        "values, as scales.digits.suites.pixel-space.attacks is"
    )


def check(folder: Path, name: str, change: Change) -> str:
    tree, path = changed(real(name), change)
    message = outcome(folder, {name: tree})
    if message is None:
        return "planned"
    assert names(message, path), f"{name}: {change}: {message}"
    return "refused"


CHANGES = [(name, change) for name in FILES for change in changes(real(name))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CHANGES))
def test_a_change_is_planned_or_refused_by_name(folder: Path, change: tuple[str, Change]) -> None:
    check(folder, *change)


@pytest.mark.slow
def test_every_change_there_is(folder: Path) -> None:
    counts = Counter((change[0], check(folder, name, change)) for name, change in CHANGES)
    print(f"\n{len(CHANGES)} changes:", *(f"{n} {kind} {how}" for (kind, how), n in sorted(counts.items())))
    assert sum(counts.values()) > 3000
    assert all(counts[kind, "refused"] for kind in ("misspell", "other type", "number", "other word"))


@st.composite
def edited_lines(draw: st.DrawFn) -> dict[str, str]:
    """One of the files, its text with up to three lines edited as a hand might."""
    name = draw(st.sampled_from(FILES))
    lines = written(name).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, len(lines) - 1))
        act = draw(st.sampled_from(["double", "remove", "indent", "value", "token", "cut"]))
        line = lines[index]
        if act == "double":
            lines.insert(index, line)
        elif act == "remove" and len(lines) > 1:
            del lines[index]
        elif act == "indent":
            lines[index] = draw(st.sampled_from([" ", "  ", "\t"])) + line
        elif act == "value" and ":" in line:
            lines[index] = line.split(":")[0] + ": " + draw(st.sampled_from(TOKENS))
        elif act == "token":
            words = re.split(r"(\s+)", line)
            words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(TOKENS))
            lines[index] = "".join(words)
        else:
            lines[index] = line[: draw(st.integers(0, len(line)))]
    return {name: "\n".join(lines) + "\n"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edited_lines())
def test_an_edited_text_is_planned_or_refused(folder: Path, edited: dict[str, str]) -> None:
    outcome(folder, edited)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edited_lines())
def test_many_edited_texts(folder: Path, edited: dict[str, str]) -> None:
    outcome(folder, edited)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_starts_in_any_arrangement_are_a_plan_or_a_named_cycle(folder: Path, data: st.DataObject) -> None:
    tree = real(STUDY)
    runs = [name for name, run in tree["runs"].items() if "sweep" not in run]
    starts = data.draw(st.lists(st.sampled_from(runs), min_size=2, max_size=5, unique=True))
    for name, start in itertools.pairwise(starts):
        tree["runs"][name]["init"] = start
    if data.draw(st.booleans()):
        tree["runs"][starts[-1]]["init"] = starts[0]
        message = outcome(folder, {STUDY: tree})
        assert message is not None
        assert "start from each other" in message
        assert any(f"runs.{name}.init" in message for name in starts)
    else:
        outcome(folder, {STUDY: tree})
