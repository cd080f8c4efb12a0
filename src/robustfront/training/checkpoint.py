"""The state of an unfinished training: one safetensors file, replaced atomically. Nothing is pickled.

Randomness is a function of (seed, epoch, step), so there is no generator state to keep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from robustfront import sealed
from robustfront.config.schema import Precision
from robustfront.errors import ArtefactError

FORMAT = 2


@dataclass
class Checkpoint:
    """Position and all tensors of a training.

    `groups` maps e.g. "model", "momentum", "average", "best" to named tensors; empty ones are not kept.
    `seconds` is what the unfinished epoch has taken so far, `made_from` the checksums of the files that the
    training reads, `sources` the digest of the code of its steps, or of each code in turn, joined by `+`, if
    it was edited meanwhile, `arithmetic` what it is computed in (older checkpoints have none of these).
    """

    run_id: str
    epoch: int
    step: int
    groups: dict[str, dict[str, Tensor]]
    history: list[dict[str, Any]]
    best_score: list[float] | None
    best_epoch: int | None
    seconds: float
    made_from: Mapping[str, str] = field(default_factory=dict)
    sources: str = ""
    arithmetic: Precision | None = None

    def save(self, path: Path) -> None:
        """Replaces `path`. ArtefactError, the older file untouched, where it cannot be written."""
        # A copy each: safetensors refuses channels-last tensors and tensors that share their memory.
        tensors = {
            f"{group}/{name}": value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for group, values in self.groups.items()
            for name, value in values.items()
        }
        facts = {name: value for name, value in vars(self).items() if name != "groups"} | {"format": FORMAT}
        sealed.write(path, safetensors.torch.save(tensors, metadata=sealed.metadata(facts)))

    @classmethod
    def load(cls, path: Path, run_id: str) -> "Checkpoint":
        """The checkpoint in `path`, on the CPU. ArtefactError if it is damaged or belongs to another run."""
        try:
            content = sealed.read(path)
            facts = sealed.facts(content)
            groups: dict[str, dict[str, Tensor]] = {}
            for key, tensor in safetensors.torch.load(content).items():
                group, name = key.split("/", 1)
                groups.setdefault(group, {})[name] = tensor
            if facts.pop("format") != FORMAT:
                raise _unusable(path, "was written by another version of robustfront")
            checkpoint = cls(groups=groups, **facts)
        except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unusable(path, f"is damaged ({error})") from None
        if checkpoint.run_id != run_id:
            raise _unusable(path, f"is of the run {checkpoint.run_id}, not of {run_id}")
        return checkpoint

    def require_made_from(self, made_from: Mapping[str, str], path: Path) -> None:
        """ArtefactError, naming `path`, if the training was begun from files with another content."""
        if changed := [name for name, found in made_from.items() if self.made_from.get(name, found) != found]:
            raise _unusable(path, f"was begun from another {', '.join(changed)} than lies there now")


def _unusable(path: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{path}: the checkpoint {reason}; delete {path.parent} to train this run from its start"
    )
