import copy
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustfront.errors import ConfigError
from robustfront.planning import load_plan
from robustfront.planning.render import render
from small_params import Tree, tree, write
from study_files import STUDY

JARGON = re.compile(r"[Vv]alue error|Input|input_type|https?://|Traceback|pydantic|NoneType|<class|Mapping\b")

LEAVES = st.one_of(
    st.sampled_from([None, True, 0, -1, 1, 0.5, 1e-300, 1e300, 10**30, float("inf"), float("nan")]),
    st.sampled_from(["small", "front", "small/st", "front/st", "front/more", "front/more-1", "/"]),
    st.sampled_from(["8/255", "all", "official", "st", "trades", "npgd", "digits", "pgd", "cosine", ""]),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)
FRONT = {
    "like": STUDY,
    "datasets": {"own": tree()["datasets"]["digits"]},
    "runs": {
        "st": "small/st",
        "mine": {"method": "npgd", "init": "small/st", "generator": "pgd", "beta": 3},
        "more": {"method": "trades", "init": "st", "sweep": {"beta": [1, 2]}},
    },
    "scales": {"tiny": {"datasets": ["digits", "own"], "runs": ["st", "mine", "more"]}},
}
"""A study that is like the small one and shows runs of it."""

KEYS = st.text(max_size=6)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything below the root."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [(*path, key) for key, _ in items] + [
        place for key, child in items for place in places(child, (*path, key))
    ]


@st.composite
def damaged(draw: st.DrawFn) -> Tree:
    """The valid trees with up to three nodes replaced, removed, added, renamed or put elsewhere."""
    content: Any = tree() | {"front": copy.deepcopy(FRONT)}
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(places(content)))
        parent = content
        for key in parents:
            parent = parent[key]
        act = draw(st.sampled_from(["replace", "remove", "add", "rename", "copy"]))
        if act == "remove":
            del parent[last]
        elif act == "replace" or isinstance(parent, list):
            parent[last] = draw(VALUES)
        elif act == "add":
            parent[draw(KEYS)] = draw(VALUES)
        elif act == "rename":
            text = str(last)
            cut = draw(st.integers(0, len(text)))
            parent[text[:cut] + draw(st.text(max_size=2)) + text[cut + 1 :]] = parent.pop(last)
        else:
            source: Any = content
            for key in draw(st.sampled_from(places(content))):
                source = source[key]
            parent[last] = copy.deepcopy(source)
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_a_damaged_tree_gives_a_plan_or_one_readable_message(folder: Path, content: Tree) -> None:
    others = {"front": content.pop("front")} if "front" in content else {}
    path = write(folder, content, **others)
    files = (path, *(folder / "params" / f"{name}.yaml" for name in (STUDY, "front")))
    heads = tuple(f"{file}{after}" for file in files for after in (": ", ", line "))
    began = time.process_time()
    message = None
    try:
        plan = load_plan(path)
    except ConfigError as error:
        message = str(error)
    assert time.process_time() - began < 2
    if message is None:
        assert render(plan, folder)
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", run) for run in plan.runs)
        return
    for line in message.split("\n"):
        assert line.startswith((*heads, "extensions: ")), message
        assert len(line) < len(str(path)) + 400
        assert not JARGON.search(line.replace(f"{folder}", ""))
