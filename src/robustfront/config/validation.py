"""pydantic's findings as messages a user can act on: the key as written, its value, and what is allowed."""

import difflib
import re
import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from robustfront.config.annotations import holds, kind_of, models_at
from robustfront.config.layers import Layer, flatten, place
from robustfront.config.replaced import without_replaced
from robustfront.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

UNKNOWN_KIND = "unknown_kind"
"""The type of the finding that a mapping is of no kind that is known (`registry.Kind`)."""

LISTED = 12
"""No more names than this are listed in a message, and no more problems."""

_EXPECTED = {
    "bool": "true or false",
    "dict": "a mapping of keys to values",
    "finite_number": "a finite number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping of keys to values",
    "model_attributes": "a mapping of keys to values",
    "string": "text (in quotes if it looks like something else)",
    "tuple": "a list",
}
"""What a value must be, by the type of pydantic's finding, without `_type` or `_parsing`."""

_Path = tuple[str | int, ...]


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """` (did you mean 'beta'?)` or, where nothing is near, what is known."""
    options = sorted(set(known))
    if near := difflib.get_close_matches(str(word), options, n=1):
        return f" (did you mean '{near[0]}'?)"
    more = f" and {len(options) - LISTED} more" if len(options) > LISTED else ""
    return f" (known: {', '.join(options[:LISTED])}{more})" if options else ""


def describe(value: object) -> str:
    """A value as the user wrote it, on a short line; mappings and lists by their kind."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case date():
            return value.isoformat()
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 60
    return shortener.repr(value)


def chain(names: Sequence[str]) -> str:
    """`a -> b -> a`, the middle left out where it is long."""
    shown = names if len(names) <= LISTED else [*names[: LISTED - 1], "...", names[-1]]
    return " -> ".join(shown)


def validate(model: type[M], layers: Sequence[Layer], *, source: str, known: Collection[str] = ()) -> M:
    """The layers, later ones over earlier ones, as a `model`; a mapping of another kind starts afresh.

    ConfigError with a line per problem, each naming file and key where it was written; `source` is the file
    of the layers that name none. `known` are keys, beside the model's own, that a misspelt one of the first
    level may have meant.
    """
    layers = without_replaced(layers, model)
    data = flatten(layers)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        findings = [_finding(problem, model, data, known) for problem in error.errors(include_url=False)]
    lines = _lines(findings, layers, source)
    if len(lines) > LISTED:
        lines = [*lines[:LISTED], f"{source}: and {len(lines) - LISTED} more problems"]
    raise ConfigError("\n".join(lines))


class _Finding(NamedTuple):
    """A key, the value to show beside it, and a phrase that says what is wrong."""

    path: _Path
    value: str
    phrase: str


def _lines(findings: list[_Finding], layers: Sequence[Layer], source: str) -> list[str]:
    """`file: key = value: phrase`, a line per key. pydantic has a finding for each kind of value there."""
    by_path: dict[_Path, list[_Finding]] = {}
    for finding in findings:
        by_path.setdefault(finding.path, []).append(finding)
    parents = {path[:depth] for path in by_path for depth in range(len(path))}
    lines = []
    for path, found in by_path.items():
        if path in parents:
            continue  # one of the kinds it may have fits, apart from what is below
        first, *others = dict.fromkeys(finding.phrase for finding in found)
        phrase = " or ".join([first, *(other.removeprefix("must be ") for other in others)])
        key, value = place(layers, path, source), found[0].value
        lines.append(f"{key} = {value}: {phrase}" if value else f"{key}: {phrase}")
    return lines


def _finding(problem: Any, model: type[BaseModel], data: Any, known: Collection[str]) -> _Finding:
    location = problem["loc"]  # empty: the model as a whole
    parents, last = location[:-1], location[-1] if location else ""
    kind, value, context = problem["type"], problem["input"], problem.get("ctx", {})
    path, shown = _path(location, data), describe(value)
    match kind:
        case "extra_forbidden":
            options = [*_fields_at(model, parents, data), *(() if parents else known)]
            shown, phrase = "", f"unknown key{did_you_mean(last, options)}"
        case "missing":
            strangers = [key for key in value if key not in _fields_at(model, parents, data)]
            near = difflib.get_close_matches(last, strangers, n=1)
            path, shown = (*path, last), ""
            phrase = f"missing (did you mean it by {near[0]!r}?)" if near else "missing"
        case "union_tag_not_found":
            kinds = [repr(kind_of(option)) for option in models_at(model, location, data)]
            path, shown, phrase = (*path, "kind"), "", f"missing; must be {' or '.join(kinds)}"
        case "union_tag_invalid":
            path, shown = (*path, "kind"), describe(value["kind"])
            phrase = _one_of(context["expected_tags"].replace(", ", " or "), value["kind"])
        case _ if kind == UNKNOWN_KIND:
            phrase = context["phrase"]
            if context["missing"]:
                path, shown = (*path, last), ""
        case "literal_error":
            phrase = _one_of(context["expected"], value)
        case "too_short":
            phrase = "must not be empty" if context["min_length"] == 1 else problem["msg"]
        case "value_error":
            phrase = str(context["error"])
            if last == "[key]" or isinstance(value, Mapping):
                shown = ""
        case _:
            expected = _EXPECTED.get(kind.removesuffix("_type").removesuffix("_parsing"))
            phrase = f"must be {expected}" if expected else re.sub(r"^\w+ should ", "must ", problem["msg"])
    return _Finding(path, shown, phrase)


def _one_of(expected: str, value: object) -> str:
    """What pydantic says is expected, such as `'pgd' or 'autoattack'`, and which of it is near."""
    words = re.findall(r"'(.*?)'", expected)
    near = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
    return f"must be {expected}" + (f" (did you mean '{near[0]}'?)" if near else "")


def _fields_at(model: type[BaseModel], location: Sequence[str | int], data: Any) -> list[str]:
    return [name for option in models_at(model, location, data) for name in option.model_fields]


def _path(location: Sequence[str | int], data: Any) -> _Path:
    """The keys and positions of a location; its other parts name branches of a union."""
    path: list[str | int] = []
    for part in location:
        if holds(data, part):
            path.append(part)
            data = data[part]
    return tuple(path)
