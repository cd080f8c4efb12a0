"""The time of AutoAttack on PreActResNet-18 by each engine and by pyautoattack, a twentieth of it.

    python -m benchmarks.autoattack_resnet18 [--images 8] [--rounds 2]

The network is untrained, the images are noise and eps is so small that none falls: each part then costs what
it costs per image that withstands it. All parts take a twentieth of their steps and queries, so their shares
stay. CPU seconds of the process, one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import pyautoattack
import torch
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.attacks.autoattack import autoattack
from robustfront.attacks.standard import ensemble
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.config.schema import Threat
from robustfront.models import Classifier, build

STEPS, QUERIES, EPS = 5, 250, 1e-6
SHORTER = 20
"""So many times as many steps and queries has the whole of it."""
NORMALISATION = Normalisation(mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build(
        PreActResNet(depth=18, width=64), channels=3, classes=10, normalisation=NORMALISATION
    ).eval()
    x = torch.rand(options.images, 3, 32, 32)
    y = model(x).argmax(1).detach()
    attacks = entrants(model, x, y)
    with shortened():
        for _ in range(options.rounds):
            for name, attack in attacks.items():
                began = time.process_time()
                attack()
                print(f"{name}: {time.process_time() - began:.2f} s", flush=True)


def entrants(model: Classifier, x: Tensor, y: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Each engine on images that it cannot fell; pyautoattack shortens itself, ours `shortened`."""
    ball = Ball.of(Threat(eps=EPS), model.mean, model.std)

    def as_is() -> Tensor:
        attack = pyautoattack.AutoAttack(model, eps=EPS, seed=0, version="standard", device=x.device)
        attack.verbose = False
        attack.apgd.n_iter = attack.apgd_targeted.n_iter = attack.fab.n_iter = STEPS
        attack.square.n_queries = QUERIES
        x_adv, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
        return x_adv

    def ours(engine: str) -> Tensor:
        attack = AutoAttackEvaluation.model_validate({"engine": engine})
        return autoattack(model, x, y, ball, attack=attack, seed=0, batch_size=len(x))

    return {"pyautoattack": as_is} | {engine: partial(ours, engine) for engine in ("fast", "fast-bf16")}


@contextmanager
def shortened() -> Iterator[None]:
    """Within the context our engines take a twentieth of their steps and queries, too."""
    with (
        mock.patch.object(ensemble, "apgd", partial(ensemble.apgd, steps=STEPS)),
        mock.patch.object(ensemble, "fab", partial(ensemble.fab, steps=STEPS)),
        mock.patch.object(ensemble, "square", partial(ensemble.square, queries=QUERIES)),
    ):
        yield


if __name__ == "__main__":
    main()
