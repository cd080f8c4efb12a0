"""The state of an unfinished training: one safetensors file, replaced atomically. Nothing is pickled.

Randomness is a function of (seed, epoch, step), so there is no generator state to keep.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from robustfront.artefacts import atomic_write
from robustfront.errors import ArtefactError

FORMAT = 1


@dataclass
class Checkpoint:
    """Position and all tensors of a training. `groups` maps e.g. "model", "momentum", "average", "best" to named tensors."""

    run_id: str
    epoch: int
    step: int
    groups: dict[str, dict[str, Tensor]]
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: list[float] | None = None
    best_epoch: int | None = None
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        tensors = {
            f"{group}/{name}": value.detach().contiguous().clone()
            for group, values in self.groups.items()
            for name, value in values.items()
        }
        facts = {
            "format": FORMAT,
            "run_id": self.run_id,
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
        }
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, metadata={"state": json.dumps(facts)})

    @classmethod
    def load(cls, path: Path, run_id: str) -> "Checkpoint":
        """The checkpoint in `path`. ArtefactError if it is damaged or belongs to another run."""
        advice = f"delete {path.parent} to train this run from its start"
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})["state"])
                groups: dict[str, dict[str, Tensor]] = {}
                for key in file.keys():  # noqa: SIM118 - not a dict
                    group, name = key.split("/", 1)
                    groups.setdefault(group, {})[name] = file.get_tensor(key)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ArtefactError(f"{path}: the checkpoint is damaged ({error}); {advice}") from None
        if facts.pop("format") != FORMAT:
            raise ArtefactError(f"{path}: written by another version of robustfront; {advice}")
        if facts["run_id"] != run_id:
            raise ArtefactError(f"{path}: is the checkpoint of {facts['run_id']}, not of {run_id}; {advice}")
        return cls(groups=groups, **facts)
