"""Digest of the code of a report: what makes it in this package, and what a study brings."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from robustfront.planning.sources import code_digest
from robustfront.reporting import places

if TYPE_CHECKING:
    from robustfront.reporting.planned import Study


def digest(study: "Study | None", modules: tuple[str, ...], files: tuple[Path, ...] = ()) -> str:
    """Of some of our modules, of a study's own code, of what these use in this package, and of `files`.

    Our code and the study's count by their syntax, so that comments change nothing.
    """
    shipped = places.shipped_report(study) if study else None
    total = hashlib.sha256(code_digest(*modules, *([shipped] if shipped else [])).encode())
    for path in [] if shipped or not study else places.own_code(study):
        try:
            total.update(f"{path.name} {code_digest(path)}\0".encode())
        except SyntaxError:  # what is wrong with it is said when it is loaded
            total.update(path.read_bytes() + b"\0")
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]
