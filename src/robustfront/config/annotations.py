"""What may stand at a place inside a model, by its annotations: models, and the kind that a mapping is of."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel


def holds(data: Any, part: str | int) -> bool:
    """Whether a part of a location is a key or position of `data`, and no branch of a union."""
    return part in data if isinstance(data, Mapping) else isinstance(data, list) and isinstance(part, int)


def models_at(model: type[BaseModel], location: Sequence[str | int], data: Any) -> list[type[BaseModel]]:
    """The models a location inside `model` leads to: several where a union has not been decided yet."""
    places: list[Any] = [model]
    for part in location:
        if holds(data, part):
            places = [inner for place in places for inner in inside(place, part, data)]
            data = data[part]
        else:
            places = [
                option for place in places for option in models_in(place, data) if part in _tags(option)
            ]
    return [option for place in places for option in models_in(place, data)]


def inside(annotation: Any, part: str | int, data: Any) -> list[Any]:
    """The annotations that a key or position below the value `data` of type `annotation` may have."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        model = meant(annotation, data)
        return [field.annotation for key, field in model.model_fields.items() if key == part]
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, list, tuple):
        return [arguments[-1 if get_origin(annotation) is dict else 0]]
    return [inner for argument in arguments for inner in inside(argument, part, data)]


def models_in(annotation: Any, data: Any) -> list[type[BaseModel]]:
    """The models that the value `data` of type `annotation` may be."""
    return [meant(model, data) for model in bases_in(annotation)]


def bases_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation names; of several kinds their base."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in bases_in(argument)]


def meant(model: type[BaseModel], data: Any) -> type[BaseModel]:
    """The model itself or, of a base of several kinds (`registry.Kind`), the one that a mapping is of."""
    known = model.__dict__.get("known")
    found: type[BaseModel] | None = known.meant(data) if known and isinstance(data, Mapping) else None
    return found or model


def kind_of(model: type[BaseModel]) -> str | None:
    """What a model of a union has as its `kind`."""
    field = model.model_fields.get("kind")
    return field.default if field else None


def _tags(model: type[BaseModel]) -> tuple[str | None, str]:
    """By what a location may name it among the branches of a union: its kind, or its own name."""
    return kind_of(model), model.__name__
