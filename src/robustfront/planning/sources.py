"""Which sources decide a training: their hash tells runs that were made by other code. Imports no torch."""

import hashlib
import inspect
from pathlib import Path

import robustfront
from robustfront.methods.base import Entry

_SOURCES = (
    "config/schema.py",
    "losses.py",
    *(f"{part}/*.py" for part in ("data", "models", "attacks", "methods", "training")),
)
"""What can change a training; patterns in the package's folder."""


def source_digest(method: Entry) -> str:
    """Hash of the sources that can change a training by `method`; runs made by other code can be told apart.

    They are the package's, and the method's own file if it lies elsewhere.
    """
    root = Path(robustfront.__file__).parent
    files = {path for pattern in _SOURCES for path in root.glob(pattern)}
    own = Path(inspect.getfile(method.method))
    total = hashlib.sha256()
    for path in [*sorted(files), *([own] if own not in files else [])]:
        name = path.relative_to(root).as_posix() if path in files else path.name
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]
