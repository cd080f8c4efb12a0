"""Training methods, one file per idea. `load_methods` reads them all; none imports torch at module level."""

import hashlib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from robustfront.errors import ConfigError
from robustfront.methods.base import Registry, registry

__all__ = ["Registry", "load_methods"]


def load_methods(extensions: Iterable[Path] = ()) -> Registry:
    """Our methods, those of installed packages (entry point group `robustfront.methods`), and files named by the user.

    Raises ConfigError if one of them cannot be imported.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    for entry_point in entry_points(group="robustfront.methods"):
        entry_point.load()
    for path in extensions:
        _load_file(path)
    return registry


def _load_file(path: Path) -> None:
    name = f"robustfront_extension_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"extensions: {path} is not a Python file; name a file that registers a method")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"extensions: {path} cannot be imported: {type(error).__name__}: {error}"
        ) from error
