"""Whether a training that may use bfloat16 does: on this machine it is measured once, not asked for.

What libraries say that they support tells nothing: on CPUs without bfloat16 units it is there, and 2 to 15
times slower than float32.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from robustfront import attacks
from robustfront.attacks import objectives
from robustfront.config.schema import Precision
from robustfront.errors import ConfigError
from robustfront.locks import in_turn
from robustfront.models import Classifier
from robustfront.planning.arithmetic import Decision, load, place, save
from robustfront.training.provenance import device_name

IMAGES = 16
"""So many are enough to keep every unit of a CPU busy, and few enough for a fraction of a second."""


def settle(
    wanted: Precision,
    model: Classifier,
    images: Tensor,
    arch: str,
    results: Path,
    *,
    asked: Precision | None = None,
    begun: Precision | None = None,
) -> Precision:
    """The arithmetic of a training whose config says `wanted`, on uint8 `images` (N, C, H, W).

    float32 if the config says so. Otherwise that in which the training was `begun`, what is `asked` for, or
    what was decided for networks of this kind (architecture and size of the images) on this kind of device
    when the first of them trained with these results; the first measures it. ConfigError if what is asked
    for is not what the training was begun in.
    """
    if wanted == "fp32":
        return "fp32"
    if begun is not None:
        if asked not in (None, begun):
            raise ConfigError(
                f"--arithmetic {asked}: this training was begun in {begun}, and goes on in it or not at all; "
                "leave the option out, or delete its checkpoint to train from the start"
            )
        return begun
    if asked is not None:
        return asked
    network = f"{arch}, {'x'.join(map(str, images.shape[1:]))}"
    path = place(results, network, images.device.type)
    path.parent.mkdir(parents=True, exist_ok=True)
    with in_turn(path.with_suffix(".lock")):  # jobs that start together would disturb each other's times
        decision = load(path)
        if decision is None:
            decision = _measured(network, model, images)
            save(decision, path)
            print(f"arithmetic of {decision}", flush=True)
    return decision.precision


def _measured(network: str, model: Classifier, images: Tensor) -> Decision:
    """The faster one: of three attack steps each the quickest, bfloat16 as trainings run it."""
    x = images[:IMAGES].float().div(255).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    was_training = model.training
    model.eval()
    seconds: dict[str, float] = {}
    for precision in get_args(Precision):
        with (
            torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"),
            attacks.frozen(model),
        ):
            attacked = attacks.stand_in(model, x)
            seconds[precision] = min(_seconds(attacked, x, labels) for _ in range(4))
    attacks.release_stand_ins()
    model.train(was_training)
    faster: Precision = "bf16" if seconds["bf16"] < seconds["fp32"] else "fp32"
    return Decision(network, x.device.type, faster, _machine(x.device), seconds)


def _seconds(model: Classifier, x: Tensor, labels: Tensor) -> float:
    began = time.perf_counter()
    gradient = attacks.input_gradient(model, x, labels, objectives.ce)
    gradient.sum().item()  # waits for the device
    return time.perf_counter() - began


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return device_name(device)
    name = device_name(device).rsplit(",", 1)[0]
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
