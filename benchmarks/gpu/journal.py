"""Steps done one after the other, each told and written at once, so that a run that is cut still tells."""

from __future__ import annotations

import platform
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from robustfront.training.provenance import device_name, versions

Step = Callable[[], Sequence[str]]
"""Does something and gives lines of Markdown that say what was found; AssertionError: it is not right."""


class Journal:
    """Writes the page `path` anew after every step. None begins once `seconds` have passed."""

    def __init__(self, path: Path, title: str, command: str, device: torch.device, seconds: float) -> None:
        self.path, self.device = path, device
        self._began, self._seconds = time.monotonic(), seconds
        self.failed: list[str] = []
        self.lines = [f"# {title}", "", f"Written by `{command}`.", "", *_facts(device), ""]

    @property
    def left(self) -> float:
        """Seconds until the last moment at which a step may begin."""
        return self._seconds - (time.monotonic() - self._began)

    def section(self, title: str) -> None:
        self._add([f"## {title}", ""])

    def step(self, name: str, step: Step) -> None:
        """Does it, whatever becomes of it; what it warned of is written down, too."""
        if self.left <= 0:
            return self._tell(name, "not reached in the time there was")
        began = time.monotonic()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found = list(step())
                verdict = "ok"
            except Exception as error:  # the next steps may tell more
                traceback.print_exc()
                found, verdict = [], f"**FAILED**: {type(error).__name__}: {_first(error)}"
                self.failed.append(name)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        said = dict.fromkeys(f"warned: {_first(warning.message)}" for warning in told)
        return self._tell(name, f"{verdict} ({time.monotonic() - began:.1f} s)", [*found, *said])

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Of which the first is the heading."""
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        self._add([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""])

    def _tell(self, name: str, verdict: str, found: Sequence[str] = ()) -> None:
        self._add([f"- {name}: {verdict}", *(f"  - {line}" for line in found)])

    def _add(self, lines: Sequence[str]) -> None:
        if lines[0].startswith(("|", "#")) and self.lines[-1].startswith((" ", "-")):
            lines = ["", *lines]
        print(*lines, sep="\n", flush=True)
        self.lines += lines
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.lines).rstrip() + "\n", encoding="utf-8")


def _facts(device: torch.device) -> list[str]:
    found = versions()
    libraries = ", ".join(f"{name} {version}" for name, version in found.items() if name != "robustfront")
    facts = [
        f"- {datetime.now(UTC):%Y-%m-%d}; {device_name(device)}, beside it {platform.machine()}; {libraries}"
    ]
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        kernels = " ".join(torch.cuda.get_arch_list())
        facts.append(
            f"- compute capability {about.major}.{about.minor}, {about.multi_processor_count} "
            f"multiprocessors, {about.total_memory / 2**30:.0f} GiB; torch has kernels for {kernels}"
        )
    return facts


def _first(error: object) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
