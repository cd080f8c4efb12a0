"""What was decided about bfloat16 on the machine that trains: kept beside the results, the same for all runs.

`precision: bf16` of a config allows bfloat16 in attack and step, where that is faster; where it is not, the
same run is computed in float32, which is more exact. So the arithmetic is no part of a run's identity, as
the device is none: its manifest and its checkpoints say which it was. `precision: fp32` is another run, and
always in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from robustfront import artefacts
from robustfront.config.schema import Precision
from robustfront.errors import ArtefactError


@dataclass(frozen=True)
class Decision:
    """How networks of one kind train on one kind of device. `seconds`: of an attack step in either."""

    network: str
    device: str
    precision: Precision
    machine: str
    seconds: dict[str, float]

    def __str__(self) -> str:
        ratio = self.seconds["fp32"] / self.seconds["bf16"]
        compared = f"{ratio:.1f} times as fast as" if ratio >= 1 else f"{1 / ratio:.1f} times slower than"
        return (
            f"{self.network} on {self.device}: {self.precision} (bf16 is {compared} fp32 on {self.machine})"
        )


def place(results: Path, network: str, device: str) -> Path:
    """Where the decision about networks of a kind (`preact_resnet, 3x32x32`) on `cpu` or `cuda` lies."""
    return results / "arithmetic" / f"{network.replace(', ', '-')}-{device}.json"


def load(path: Path) -> Decision | None:
    """The decision, if one was made. ArtefactError if the file is no decision."""
    if not path.is_file():
        return None
    try:
        found = Decision(**artefacts.read_json(path))
        str(found)
    except (TypeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise ArtefactError(
            f"{path}: is damaged ({error}); delete it, and it will be measured again"
        ) from None
    if found.precision not in get_args(Precision):
        raise ArtefactError(
            f"{path}: precision '{found.precision}' is neither fp32 nor bf16; delete the file"
        )
    return found


def save(decision: Decision, path: Path) -> None:
    """Replaces the file."""
    artefacts.write_json(path, asdict(decision))


def decisions(results: Path) -> Iterator[Decision]:
    """All that were made for these results."""
    for path in sorted((results / "arithmetic").glob("*.json")):
        if found := load(path):
            yield found
