"""Mappings laid over one another: `defaults` under a scale, a scale under a run, a run under its sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Layer:
    """A mapping, and the key under which the user wrote it ("" for the whole file).

    `file`: where, if it is another file than the one that is being read. `written_in`: whether the user wrote
    it inside the layer below, as a run's sweep.
    """

    where: str
    data: Mapping[str, Any]
    file: str = ""
    written_in: bool = False

    def at(self, key: str) -> "Layer":
        """The layer of what stands under `key`, empty if nothing does."""
        return replace(self, where=dotted(self.where, key), data=self.data.get(key, {}))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; mappings are merged key by key, anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both_mappings = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both_mappings else value
    return merged


def flatten(layers: Sequence[Layer]) -> dict[str, Any]:
    """The layers merged, later ones over earlier ones."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.data)
    return merged


def written_at(layers: Sequence[Layer], path: Sequence[str | int]) -> str:
    """The full key of `path` in the uppermost layer that has it, or has the longest beginning of it."""
    return dotted(_uppermost(layers, path).where, *path)


def place(layers: Sequence[Layer], path: Sequence[str | int], source: str) -> str:
    """`<file>: <key>` of `path` where it was written; `source` is the file that is being read."""
    file, key = _uppermost(layers, path).file or source, written_at(layers, path)
    return f"{file}: {key}" if key else file


def dotted(where: str, *path: str | int) -> str:
    """`runs.st.seeds[0]`: names below `where` joined by dots, positions in brackets."""
    text = where
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.isprintable() and part else repr(part)
            text += f".{name}" if text else name
    return text


def _uppermost(layers: Sequence[Layer], path: Sequence[str | int]) -> Layer:
    depths = [_depth(layer.data, path) for layer in layers]
    return layers[max(range(len(layers)), key=lambda index: (depths[index], index))]


def _depth(data: Any, path: Sequence[str | int]) -> int:
    """How many parts of `path` can be followed into `data`."""
    for depth, part in enumerate(path):
        if isinstance(part, int):
            found = isinstance(data, list) and part < len(data)
        else:
            found = isinstance(data, Mapping) and part in data
        if not found:
            return depth
        data = data[part]
    return len(path)
