"""Files as a report reads them: each once, with a note of what it was. Told by content, not by times."""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from robustfront.errors import ArtefactError

ABSENT = "absent"
"""In place of the digest of a file that is not there."""

Lost = Literal["not made yet", "damaged"]
LOST: tuple[Lost, ...] = ("not made yet", "damaged")


class Traced:
    """Reads files and notes them: `trace` maps `<kind>:<path below the root of that kind>` to a digest."""

    def __init__(self, roots: Mapping[str, Path | None]) -> None:
        self.trace: dict[str, str] = {}
        self._roots = roots
        self._read: dict[tuple[str, Any], tuple[str, Any]] = {}

    def afresh(self) -> Self:
        """The same files, what was read of them included, with an empty trace."""
        view = copy.copy(self)
        view.trace = {}
        return view

    def note(self, key: str, answer: Callable[[], Any]) -> None:
        """Notes an answer that no file gives."""
        if key not in self.trace:
            self.trace[key] = digest(answer())

    def path(self, kind: str, name: str) -> Path | None:
        """Where the file would lie, if its kind has a root; notes what lies there."""
        root = self._roots[kind]
        self.trace.setdefault(f"{kind}:{name}", digest_of(root and root / name))
        return root and root / name

    def read(self, kind: str, name: str, reader: Callable[[Path], Any]) -> Any:
        """What `reader` makes of the file, once; `not made yet` or, if it raises ArtefactError, `damaged`."""
        key, root = f"{kind}:{name}", self._roots[kind]
        if (key, reader) not in self._read:
            path = root and root / name
            found, content = digest_of(path), None
            if path is not None and found != ABSENT:
                try:
                    content = reader(path)
                except ArtefactError:
                    content = "damaged"
            self._read[key, reader] = found, "not made yet" if content is None else content
        found, content = self._read[key, reader]
        self.trace.setdefault(key, found)
        return content

    def digest_now(self, kind: str, name: str) -> str:
        """That of the file as it is on disk now."""
        root = self._roots[kind]
        return digest_of(root and root / name)


def digest(answer: Any) -> str:
    """Of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()[:16]


def digest_of(path: Path | None) -> str:
    """Of a file's content. A record's is enough for the files beside it, which it vouches for."""
    try:
        return ABSENT if path is None else hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ABSENT
