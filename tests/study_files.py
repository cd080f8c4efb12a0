"""A project's numbers as one tree, as tests edit them, and the files that hold them."""

import copy
import json
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

STUDY = "small"
"""The study's name unless a test says otherwise."""

OWN = ("like", "runs", "defaults")
"""Keys of the tree that stand in the study's file; of `scales` both files have a part, all else is shared."""

FRAME = ("note", "throughput")
"""What studies share of a scale."""


def split(tree: Tree, study: str = STUDY) -> tuple[Tree, Tree]:
    """params.yaml, and the params of its one study, of a tree that has the keys of both.

    A scale that is no mapping, as in a damaged tree, stands in both.
    """
    shared = {"studies": [f"params/{study}.yaml"]}
    shared |= {key: value for key, value in tree.items() if key not in OWN}
    own = {key: tree[key] for key in (*OWN, "scales") if key in tree}
    if isinstance(tree.get("scales"), dict):
        shared["scales"] = {name: _part(scale, shared=True) for name, scale in tree["scales"].items()}
        own["scales"] = {name: _part(scale, shared=False) for name, scale in tree["scales"].items()}
    return copy.deepcopy(shared), copy.deepcopy(own)


def write(folder: Path, tree: Tree, study: str = STUDY, **others: Tree) -> Path:
    """params.yaml, the study's file and those of `others`, by their names; the path of the first."""
    shared, own = split(tree, study)
    if others:
        shared["studies"] += [f"params/{name}.yaml" for name in others]
    for name, content in {study: own, **others}.items():
        write_yaml(folder / "params" / f"{name}.yaml", content)
    return write_yaml(folder / "params.yaml", shared)


def write_yaml(path: Path, content: Any) -> Path:
    """The file, in JSON, which is YAML too but for its NaN and Infinity."""
    text = json.dumps(content, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(": NaN", ": .nan").replace("Infinity", ".inf"), encoding="utf-8")
    return path


def _part(scale: Any, *, shared: bool) -> Any:
    if not isinstance(scale, dict):
        return scale
    return {key: value for key, value in scale.items() if (key in FRAME) == shared}
