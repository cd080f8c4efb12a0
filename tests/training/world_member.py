"""A process of a world of two: trains what `test_world` compares with trainings in one process."""

import sys
from pathlib import Path
from typing import Any

import torch
from small_trainings import ATTACK, batchwise, fit, network, trainer

from robustfront.artefacts import write_json
from robustfront.errors import Interrupted
from robustfront.models.weights import save_weights
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.launch import joined
from robustfront.training.loop import Trainer
from robustfront.training.world import ALONE, World

L2 = {"norm": "l2", "eps": 0.5}
METHODS: dict[str, dict[str, Any]] = {
    "standard": {"loss": "ce"},
    "pgd_at": {"attack_mode": "train", "threat": L2, "attack": ATTACK | {"start": "uniform", "restarts": 2}},
    "trades": {"beta": 1.5},
    "npda": {"generator": "pgd", "beta": 1.5},
    "npgd": {"generator": "score", "beta": 1.5},
    "ca_at": {"gamma": 0.7, "adversarial_loss": "trades"},
    "trades, batchwise": {"beta": 1.5},
}
STOP_AFTER = 7


def made(name: str, world: World = ALONE) -> Trainer:
    """Batches of 16, 16, 16, 16, 7 in random crops; in float64, as attacks magnify rounding."""
    params: dict[str, Any] = {"images": 71, "pad": 1, "edits": {"epochs": 2, "ema": 0.9}} | METHODS[name]
    method, _, kind = name.partition(", ")
    architecture = batchwise if kind else network
    return trainer(method, architecture=architecture, world=world, dtype=torch.float64, **params)


def interrupted(name: str, world: World = ALONE) -> Checkpoint:
    """The state of a training that was asked to stop in its second epoch; asked is the last process alone."""
    training, kept = made(name, world), []

    def asked() -> bool:
        return world.rank == world.size - 1 and training.steps_done == STOP_AFTER

    try:
        fit(training, save=kept.append, stop_requested=asked)
    except Interrupted:
        return kept[-1]
    raise AssertionError("it did not stop")


def main(folder: Path) -> None:
    with joined(torch.device("cpu")) as world:
        for name in METHODS:
            outcome = fit(made(name, world))
            stem = folder / f"{name}-{world.rank}"
            save_weights(outcome.weights, stem.with_suffix(".safetensors"), {})
            write_json(stem.with_suffix(".json"), outcome.history)
        begun = interrupted("npda", world)
        if world.first:
            begun.save(folder / "begun-by-two.safetensors")
        resumed = made("npda", world)
        resumed.restore(Checkpoint.load(folder / "begun-by-one.safetensors", "a-run"))
        write_json(folder / f"resumed-{world.rank}.json", fit(resumed).history)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
