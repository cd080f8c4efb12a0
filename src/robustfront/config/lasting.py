"""What lets models get fields after configs were stored: ids stay, and what was stored keeps its meaning.

A field that is `added` has a default, which is what params.yaml means by leaving it out, and an as-before
value, which is how everything was done while there was no such field. `content`, of which ids are the hash,
leaves as-before values out; `restored` puts them where a stored config has nothing.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from robustfront.errors import ConfigError

C = TypeVar("C", bound="Config")

_STORED = object()
"""The validation context of what was stored."""

_BEFORE = "as before"


class Config(BaseModel):
    """Base of all configuration: immutable, no unknown keys. `quantities` has numbers that refuse texts.

    `gone` are keys that the model once had and that decide nothing: a stored config may still have them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    gone: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def what_is_stored_means_what_it_meant(cls, data: Any, info: ValidationInfo) -> Any:
        if info.context is not _STORED or not isinstance(data, Mapping):
            return data
        found = {name: value for name, field in cls.model_fields.items() for value in _before(field)}
        return found | {key: value for key, value in data.items() if key not in cls.gone}


def added(default: Any, *, before: Any, **settings: Any) -> Any:
    """A field that its model got after configs of it had been stored.

    `default` is what params.yaml means by leaving it out, `before` what a stored config means by not having
    it. Both are values that the field accepts as they are. `settings` are those of pydantic's `Field`.
    """
    return Field(default, json_schema_extra={_BEFORE: before}, **settings)


def content(config: Config) -> dict[str, Any]:
    """What a config says, as JSON values, without fields that have their as-before value, at any depth."""
    found: dict[str, Any] = _pruned(config, config.model_dump(mode="json"))
    return found


def restored(model: type[C], stored: Mapping[str, Any]) -> C:
    """A config that was stored by this version or an older one: what it lacks is as before, at any depth.

    Keys that exist no more and never decided anything are dropped (`Config.gone`). A method's parameters
    inside a `Run` stay the mapping they are: restore them as that method's own model.
    Raises pydantic's ValidationError for what never was such a config.
    """
    return model.model_validate(stored, context=_STORED)


def require_lasting(model: type[BaseModel]) -> None:
    """ConfigError for a field that is not always written as the same JSON, of which ids are the hash.

    Defaults count, which pydantic takes as they are.
    """
    for name, field in model.model_fields.items():
        types = {*_types(field.annotation)}
        if types & {set, frozenset}:
            problem = "is a set, which has no order to be written in; make it a tuple"
        elif dict in types and not _keys_are_text(field.annotation):
            problem = "has keys that are not text, as those of JSON are; make them `str`"
        elif not field.is_required() and not _is_json(field.get_default(call_default_factory=True)):
            problem = "has a default that cannot be written as JSON; use plain numbers, texts and tuples"
        else:
            for inner in types:
                if isinstance(inner, type) and issubclass(inner, BaseModel) and inner is not model:
                    require_lasting(inner)
            continue
        raise ConfigError(f"{model.__qualname__}.{name}: {problem}")


def _types(annotation: Any) -> Iterator[Any]:
    """All types that an annotation is made of, without their arguments."""
    yield get_origin(annotation) or annotation
    for argument in get_args(annotation):
        yield from _types(argument)


def _keys_are_text(annotation: Any) -> bool:
    if get_origin(annotation) is dict and str not in _types(get_args(annotation)[0]):
        return False
    return all(_keys_are_text(argument) for argument in get_args(annotation))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(to_jsonable_python(value), allow_nan=False)
    except (TypeError, ValueError):  # what pydantic raises is one
        return False
    return True


def _before(field: FieldInfo) -> tuple[Any, ...]:
    """The as-before value of a field, alone in a tuple; of one that was there from the start: nothing."""
    extra = field.json_schema_extra
    return (extra[_BEFORE],) if isinstance(extra, dict) and _BEFORE in extra else ()


def _pruned(value: Any, dumped: Any) -> Any:
    """`dumped`, which is how pydantic writes `value`, without what is as before."""
    match value:
        case BaseModel():
            return {
                name: _pruned(getattr(value, name), dumped[name])
                for name, field in type(value).model_fields.items()
                if getattr(value, name) not in _before(field)
            }
        case dict():
            return {key: _pruned(value[key], dumped[key]) for key in value}
        case list() | tuple():
            return [_pruned(*pair) for pair in zip(value, dumped, strict=True)]
        case _:
            return dumped
