"""Training methods, one file per idea. `load_methods` reads them all; none imports torch at module level."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

from robustfront.errors import ConfigError
from robustfront.methods.base import Registry, registry

__all__ = ["Registry", "load_methods"]


def load_methods(extensions: Iterable[Path] = ()) -> Registry:
    """Our methods, those of installed packages (entry points `robustfront.methods`), and the user's files.

    ConfigError, naming the package or file, if one cannot be imported.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    for entry_point in entry_points(group="robustfront.methods"):
        with _blaming(f"the installed package behind the entry point '{entry_point.name}'"):
            entry_point.load()
    for path in extensions:
        with _blaming(f"extensions: {path}"):
            _load_file(path)
    return registry


@contextmanager
def _blaming(culprit: str) -> Iterator[None]:
    """Whatever other people's code raises becomes a ConfigError that names it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{culprit}: {error}") from None
    except Exception as error:
        raise ConfigError(f"{culprit} cannot be imported: {type(error).__name__}: {error}") from error


def _load_file(path: Path) -> None:
    name = f"robustfront_extension_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError("not a Python file; name a .py file that registers a method")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look up a class's annotations there
    spec.loader.exec_module(module)
