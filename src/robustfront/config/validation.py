"""pydantic's findings as one message a user can act on: the key, its value, what is allowed, "did you mean"."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from robustfront.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """' (did you mean 'beta'?)' or, where nothing is near, the list of what is known."""
    options = sorted(set(known))
    near = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (known: {', '.join(options)})" if options else ""


def validate(model: type[M], data: Any, *, source: str, where: str = "") -> M:
    """`data` as a `model`. ConfigError listing every problem found under the key `where` of the file `source`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, model, source=source, where=where)) from None


def explain(error: ValidationError, model: type[BaseModel], *, source: str, where: str = "") -> str:
    """One line per problem, each with the path of the key in the file."""
    lines = [f"{source}: {_line(problem, model, where)}" for problem in error.errors()]
    return "\n".join(dict.fromkeys(lines))


def _line(problem: Any, model: type[BaseModel], where: str) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(part for part in (where, *location) if part)
    kind, value = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return f"unknown key '{key}'{did_you_mean(location[-1], _fields_at(model, location[:-1]))}"
    if kind == "missing":
        return f"key '{key}' is missing; it must be given"
    if kind in ("literal_error", "enum"):
        expected = problem["ctx"]["expected"]
        options = [option.strip(" '") for option in expected.replace(" or ", ",").split(",")]
        return f"{key} = {value!r}: must be {expected}{did_you_mean(value, options) if isinstance(value, str) else ''}"
    if kind == "union_tag_invalid":
        return f"{key} = {problem['ctx']['tag']!r}: 'kind' must be one of {problem['ctx']['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{key}: key 'kind' is missing; it says which sort this is"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(value, (dict, list)):
        return f"{key}: {message}" if key else message
    return f"{key} = {value!r}: {message[:1].lower()}{message[1:]}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Field names of the model that `path` leads to inside `model`; union branches and dict keys are looked through."""
    candidates: list[Any] = [model]
    for part in path:
        following: list[Any] = []
        for candidate in candidates:
            for option in _models_in(candidate):
                field = option.model_fields.get(part)
                following.append(field.annotation if field else option)
        candidates = following
    return [
        name for candidate in candidates for option in _models_in(candidate) for name in option.model_fields
    ]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in getattr(annotation, "__args__", ()) for found in _models_in(argument)]
