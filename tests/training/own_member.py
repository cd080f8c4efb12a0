"""A process of a world of two: trains the methods that `test_own_methods` compares with one process."""

import importlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from small_trainings import fit, network, trainer

from robustfront.models.weights import save_weights
from robustfront.training.launch import joined
from robustfront.training.loop import Trainer

METHODS = ("awp", "conditional", "two_gradients", "clipping", "averaged_attack")
EDITS: dict[str, Any] = {"epochs": 3, "ema": 0.9, "select": "last"}


def made(name: str, strength: float = 1.0, **how: Any) -> Trainer:
    """The method of the file `name`; batches of 16, 16, 16, 16, 7 in random crops."""
    file = importlib.import_module(f"own_methods.{name}")
    how = {"architecture": getattr(file, "network", network), "images": 71, "pad": 1} | how
    edits = EDITS | how.pop("edits", {})
    return trainer(partial(file.method, strength=strength), edits=edits, **how)


def main(folder: Path) -> None:
    with joined(torch.device("cpu")) as world:
        for name in METHODS:
            outcome = fit(made(name, world=world, dtype=torch.float64))
            save_weights(outcome.weights, folder / f"{name}-{world.rank}.safetensors", {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
