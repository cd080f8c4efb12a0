"""What is found by name: methods, networks, attacks, analyses, data sources, schedules, optimisers. No torch.

Each of these is a `Registry`, filled by the files of its package when that is imported (`read_package`), by
installed packages and by the user's own files (`extensions`). What users configure by a mapping with a key
for its kind is a `Kind`: a base class, of which every registered class is one kind.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from robustfront.config.extensions import EXTENSION, load_file
from robustfront.config.lasting import Config, require_lasting
from robustfront.config.quantities import check_name
from robustfront.config.validation import UNKNOWN_KIND, did_you_mean
from robustfront.errors import ConfigError

E = TypeVar("E")
K = TypeVar("K", bound="Kind")


class Registry(Generic[E]):
    """Entries by name. `what` they are called in messages; `class_of` an entry: the class it stands for."""

    def __init__(self, what: str, class_of: Callable[[E], type]) -> None:
        self.what, self.class_of = what, class_of
        self.entries: dict[str, E] = {}

    def __getitem__(self, name: str) -> E:
        """ConfigError, with a suggestion, for a name that is not known."""
        try:
            return self.entries[name]
        except KeyError:
            raise ConfigError(f"unknown {self.what} '{name}'{did_you_mean(name, self.entries)}") from None

    def add(self, name: str, entry: E) -> None:
        """ConfigError if another class has the name; the same one, its file read again, replaces itself."""
        if name in self.entries:
            ours, theirs = (
                f"{kind.__module__}.{kind.__qualname__}"
                for kind in map(self.class_of, (entry, self.entries[name]))
            )
            if ours != theirs:
                first, second = map(_written_at, (self.class_of(self.entries[name]), self.class_of(entry)))
                raise ConfigError(
                    f"{self.what} '{name}' is defined twice: by {first} and by {second}; rename one"
                )
        self.entries[name] = entry


class Kinds(Registry[type[K]]):
    """The kinds of a config, by the default of the field `key`.

    `usual`: that of a mapping that says none. `reserved`: names that have a meaning already.
    """

    def __init__(
        self, what: str, key: str = "kind", usual: str | None = None, reserved: Sequence[str] = ()
    ) -> None:
        super().__init__(what, class_of=lambda kind: kind)
        self.key, self.usual, self.reserved = key, usual, reserved

    def register(self, kind: type[K]) -> type[K]:
        """Class decorator that makes a kind known under its name.

        ConfigError if it says no name or a bad one, not what the base class wants to be told (its
        `ClassVar`s), or has a field of which no id can be made.
        """
        if getattr(kind, "known", None) is not self:
            raise ConfigError(
                f"{self.what} {kind.__qualname__}: is not derived from the base class of all of them"
            )
        field = kind.model_fields.get(self.key)
        if field is None or not isinstance(field.default, str):
            raise ConfigError(
                f"{self.what} {kind.__qualname__}: has no name; write a field "
                f'`{self.key}: Literal["its-name"] = "its-name"`'
            )
        for base in kind.__mro__:
            for name in base.__dict__.get("__class_vars__", ()):
                if not hasattr(kind, name):
                    raise ConfigError(f"{self.what} '{field.default}': the class must say `{name} = ...`")
        try:
            require_lasting(kind)
            check_name(field.default)
            if field.default in self.reserved:
                raise ValueError("the name has a meaning already; choose another")
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"{self.what} '{field.default}': {error}") from None
        self.add(field.default, kind)
        return kind

    def meant(self, data: Mapping[str, Any]) -> type[K] | None:
        """The kind that a mapping says it is of; None if there is no such kind."""
        name = data.get(self.key, self.usual)
        return self.entries.get(name) if isinstance(name, str) else None


class Kind(Config):
    """Base of configs of several kinds. A base class says `known`; validating it gives one of those.

    A field of such a type is annotated `SerializeAsAny[...]`: what is written of it is all of that kind.
    """

    known: ClassVar[Kinds[Any]]

    @property
    def named(self) -> tuple[str, ...]:
        """What it names as `module:name`, for `resolve`: the code that does what it describes."""
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def is_one_of_those_known(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if "known" not in cls.__dict__ or not isinstance(data, Mapping):
            return handler(data)
        known = cls.known
        kind = known.meant(data)
        if kind is None:
            raise ValidationError.from_exception_data(cls.__name__, [_unknown(known, data)])
        if known.key not in data:
            data = {known.key: known.usual, **data}
        found: Self = kind.model_validate(data, context=info.context)
        if info.context is None:  # what is stored may outlive its code
            found._require_named()
        return found

    def _require_named(self) -> None:
        """ValueError if a user's class names what is not there, as far as no import is needed to tell."""
        said_by = type(self)
        for place in self.named if said_by.__module__.startswith(EXTENSION) else ():
            module, _, name = place.rpartition(":")
            file = beside(module, said_by) if module.startswith(".") else Path(inspect.getfile(said_by))
            if module.startswith(".") and not file.is_file():
                raise ValueError(f"{said_by.__qualname__} names '{place}', and there is no file {file}")
            if not module and not hasattr(sys.modules[said_by.__module__], name):
                raise ValueError(f"{said_by.__qualname__} names '{place}', which {file} does not define")


def _written_at(registered: type) -> str:
    """A class, and its module or, of a user's file, that file."""
    module = registered.__module__
    home = inspect.getfile(registered) if module.startswith(EXTENSION) else module
    return f"{registered.__qualname__} of {home}"


def _unknown(known: Kinds[Any], data: Mapping[str, Any]) -> InitErrorDetails:
    names = sorted(known.entries)
    listed = "must be " + " or ".join(map(repr, names))
    value = data.get(known.key)
    if missing := known.key not in data:
        listed = f"missing; {listed}"
    elif near := get_close_matches(str(value), names, n=1):
        listed += f" (did you mean {near[0]!r}?)"
    error = PydanticCustomError(UNKNOWN_KIND, "{phrase}", {"phrase": listed, "missing": missing})
    return InitErrorDetails(type=error, loc=(known.key,), input=value)


def read_package(path: Iterable[str], name: str) -> None:
    """Imports every module of a package, which registers what it holds; to be called with its own names."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{name}.{module.name}")


def resolve(place: str, said_by: type) -> Any:
    """What a registered class names by `place`: `module:name`, or `name` of something in its own file.

    With a dot before it the module is a file beside that of the class. ConfigError if there is none.
    """
    module, _, name = place.rpartition(":")
    try:
        return getattr(_module(module, said_by), name)
    except (ImportError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"{inspect.getfile(said_by)}: {said_by.__qualname__} names '{place}': {error}"
        ) from None


def _module(name: str, said_by: type) -> ModuleType:
    if not name:
        return sys.modules[said_by.__module__]
    if not name.startswith("."):
        return importlib.import_module(name)
    return load_file(beside(name, said_by), again=False)


def beside(name: str, said_by: type) -> Path:
    """The file that `.name` means in the file of a class."""
    return Path(inspect.getfile(said_by)).with_name(f"{name[1:]}.py")
