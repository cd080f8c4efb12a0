"""What others add to the registries: Python files that register it when they are read. No torch."""

import hashlib
import importlib.util
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from robustfront.errors import ConfigError

GROUP = "robustfront.extensions"
"""Entry points by which an installed package names its modules."""

EXTENSION = "robustfront_extension_"
"""How the modules of users' files are called, before a hash of where the file lies."""


def extend(files: Iterable[Path] = ()) -> None:
    """Reads the modules of installed packages, then the user's files, each anew.

    One that imports torch is told so, as every command then takes that much longer. ConfigError, naming the
    package or file, if one cannot be read.
    """
    for entry_point in installed():
        with _blaming(f"the installed package behind the entry point '{entry_point.name}'"):
            entry_point.load()
    for path in files:
        with _blaming(f"extensions: {path}"):
            load_file(path)


@cache
def installed() -> tuple[EntryPoint, ...]:
    """What installed packages offer; found once, as looking for it reads a file of each package."""
    return tuple(entry_points(group=GROUP))


def load_file(path: Path, *, again: bool = True) -> ModuleType:
    """The module in a file, read anew unless not wanted `again`. ConfigError if it is no Python file."""
    name = f"{EXTENSION}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    if not again and name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError("not a Python file; name a .py file that registers something")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look up a class's annotations there
    with _timing_torch(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _timing_torch(path: Path) -> Iterator[None]:
    before, began = "torch" in sys.modules, time.perf_counter()
    yield
    if not before and "torch" in sys.modules:
        print(
            f"{path}: imports torch, which takes every command {time.perf_counter() - began:.1f} s; "
            "what needs it may stand in a file beside it, named as `.file:name`",
            file=sys.stderr,
        )


@contextmanager
def _blaming(culprit: str) -> Iterator[None]:
    """Whatever other people's code raises becomes a ConfigError that names it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{culprit}: {error}") from None
    except Exception as error:
        raise ConfigError(f"{culprit} cannot be imported: {type(error).__name__}: {error}") from error
