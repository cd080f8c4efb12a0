"""Which mappings of lower layers a mapping of another kind replaces: it has nothing in common with them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from robustfront.config.annotations import bases_in, inside
from robustfront.config.layers import Layer

_ABSENT = object()


def without_replaced(layers: Sequence[Layer], model: type[BaseModel]) -> list[Layer]:
    """The layers of a `model` without each mapping above which one says that it is of another kind.

    Of several kinds are a `registry.Kind`, and a union of models with a key `kind`. A mapping that says none
    is of the kind below it, at the bottom of the usual one; one with a layer that is `written_in` it is of
    the kind that this one says.
    """
    if len(layers) == 1:
        return list(layers)
    written_in = [layer.written_in for layer in layers]
    found = _counting([layer.data for layer in layers], written_in, [model])
    left = [{} if data is _ABSENT else data for data in found]
    return [replace(layer, data=data) for layer, data in zip(layers, left, strict=True)]


def _counting(values: Sequence[Any], written_in: Sequence[bool], annotations: Sequence[Any]) -> list[Any]:
    """Of what each layer has at a place, what is not replaced."""
    key, usual = _told_apart(annotations)
    kind, lowest = usual, 0
    said = [value.get(key) if key and isinstance(value, Mapping) else None for value in values]
    for index in range(len(values) - 1, 0, -1):
        if written_in[index] and said[index - 1] is None:
            said[index - 1] = said[index]
    for index, name in enumerate(said):
        if name is not None and name != kind:
            lowest = lowest if kind is None else index
            kind = name
    left = [_ABSENT if index < lowest else value for index, value in enumerate(values)]
    mappings = [dict(value) if isinstance(value, Mapping) else {} for value in left]
    for name in dict.fromkeys(name for mapping in mappings for name in mapping):
        below = [mapping.get(name, _ABSENT) for mapping in mappings]
        if sum(isinstance(value, Mapping) for value in below) > 1:
            there = [found for each in annotations for found in inside(each, name, {key: kind})]
            for mapping, value in zip(mappings, _counting(below, written_in, there), strict=True):
                mapping.pop(name, None)
                if value is not _ABSENT:
                    mapping[name] = value
    return [
        mapping if isinstance(value, Mapping) else value
        for mapping, value in zip(mappings, left, strict=True)
    ]


def _told_apart(annotations: Sequence[Any]) -> tuple[str | None, str | None]:
    """The key by which the kinds at a place are told apart, if there are several, and the usual one."""
    models = [model for annotation in annotations for model in bases_in(annotation)]
    for model in models:
        if known := model.__dict__.get("known"):
            return known.key, known.usual
    return ("kind" if len(models) > 1 else None), None
