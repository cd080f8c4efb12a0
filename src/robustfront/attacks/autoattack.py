"""AutoAttack (Croce & Hein 2020 b) inside either space of a threat model, by one of two engines.

`reference` is the authors' code, pyautoattack; `fast` and `fast-bf16` are ours, `attacks.standard`.
docs/reproduction/autoattack.md says how they differ, docs/benchmarks/autoattack.md how they compare.

Both know one radius and the box [0, 1]; `unit_box` brings the ball there.

pyautoattack removes the process's trace function (coverage, debuggers), reseeds torch's global generators and
writes into the weights' gradients; none of this leaves this module.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pyautoattack
import torch
from pyautoattack.square import SquareAttack
from torch import Tensor, nn

from robustfront.attacks.ball import Ball
from robustfront.attacks.boundary import accepted, require_numbers
from robustfront.attacks.engine import Attack, Runner
from robustfront.attacks.standard.bfloat16 import Bfloat16
from robustfront.attacks.standard.ensemble import Report, Version, standard
from robustfront.attacks.standard.problem import Problem
from robustfront.attacks.unit_box import Scaled, channels_last, unit_box, unwrapped
from robustfront.config.attacks.autoattack import PARTS_OF, AutoAttackEvaluation
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.models import Classifier

NORMS = {"linf": "Linf", "l2": "L2"}


def autoattack(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    *,
    attack: AutoAttackEvaluation,
    seed: int,
    batch_size: int,
    run: Runner = lambda attack, x, labels: attack(x, labels),
    report: Report = lambda part, done, given: None,
) -> Tensor:
    """Adversarial images x' (B, C, H, W) in float32; x itself where the attack failed.

    Targeted attacks take the min(9, K - 1) likeliest wrong classes of K. The result depends on `batch_size`,
    as the random numbers of a batch are drawn together. `report` is called as each batch of each part is
    done, by the fast engines also meanwhile.

    Raises ConfigError for fewer classes or lower images than it can be made on, and as `boundary` and
    `unit_box`.
    """
    require_numbers(model)
    x, labels = accepted(x, labels, model.classes)
    if model.classes < attack.fewest_classes:
        raise ConfigError(
            f"attack 'autoattack' needs {attack.fewest_classes} classes or more, not {model.classes}: "
            "use 'pgd' with objective 'margin' and several restarts"
        )
    if x.shape[2] < attack.fewest_rows(ball.threat.norm):
        raise ConfigError(
            f"attack 'autoattack' of version '{attack.version}' needs images of "
            f"{attack.fewest_rows(ball.threat.norm)} pixels in height or more for {ball.threat.norm}, not "
            f"{x.shape[2]}: use version 'apgd', or 'pgd' with several restarts"
        )
    with _prepared(model, ball, x) as (wrapped, z, settings):
        if len(x) == 0:
            return x
        if attack.engine == "reference":
            whole, parts = PARTS_OF.get(attack.version, (attack.version, None))
            authors = pyautoattack.AutoAttack(wrapped, version=whole, seed=seed, **settings)
            authors.attacks_to_run = list(parts or authors.attacks_to_run)
            authors.verbose = False
            targets = min(9, model.classes - 1)
            authors.apgd_targeted.n_target_classes = authors.fab.n_target_classes = targets
            _hook(authors, run, report)
            z_adv, _ = authors.run_standard_evaluation(z, labels, batch_size=batch_size)
        else:
            search = Scaled(Bfloat16(model), wrapped.a) if attack.engine == "fast-bf16" else wrapped
            problem = Problem(
                channels_last(wrapped), channels_last(search), ball.threat.norm, settings["eps"]
            )
            version = cast(Version, attack.version)  # the config admits no other one
            z_adv = standard(
                problem, z, labels, seed=seed, batch_size=batch_size, version=version, run=run, report=report
            )
        return unwrapped(wrapped, z_adv, z, x, ball)


def square(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    *,
    queries: int,
    seed: int,
    batch_size: int,
    run: Runner = lambda attack, x, labels: attack(x, labels),
) -> Tensor:
    """Square Attack (Andriushchenko et al. 2020), which sees logits only; x' as in `autoattack`, for any K.

    Its schedule of square sizes is compressed to the number of queries. `run` runs each batch. Raises as
    `boundary` and `unit_box`.
    """
    require_numbers(model)
    x, labels = accepted(x, labels, model.classes)
    with _prepared(model, ball, x) as (wrapped, z, settings):
        attack = SquareAttack(wrapped, n_queries=queries, seed=seed, resc_schedule=True, **settings)
        batches = zip(z.split(batch_size), labels.split(batch_size), strict=True)
        z_adv = torch.cat([run(attack.perturb, *batch) for batch in batches])
        return unwrapped(wrapped, z_adv, z, x, ball)


@contextmanager
def _prepared(model: nn.Module, ball: Ball, x: Tensor) -> Iterator[tuple[Scaled, Tensor, dict[str, Any]]]:
    """The wrapped model, z, and the settings every attack of the authors takes; without side effects."""
    logger, trace = logging.getLogger("auto-attack"), sys.gettrace()
    disabled = logger.disabled
    devices = [x.device] if x.device.type == "cuda" else []
    with unit_box(model, ball, x) as (wrapped, z, eps), torch.random.fork_rng(devices):
        try:
            logger.disabled = True
            yield wrapped, z, {"norm": NORMS[ball.threat.norm], "eps": eps, "device": x.device}
        finally:
            logger.disabled = disabled
            sys.settrace(trace)


def _hook(authors: pyautoattack.AutoAttack, run: Runner, report: Report) -> None:
    """Lets `run` run the parts of `authors`, which then report.

    They report each batch as if it were all: how many are to come is not told.
    """
    fab = "fab-t" if "fab-t" in authors.attacks_to_run else "fab"
    parts = {
        "apgd": authors.apgd,
        "apgd-t": authors.apgd_targeted,
        fab: authors.fab,
        "square": authors.square,
    }

    def perturb(name: str, part: Any, attack: Attack, x: Tensor, labels: Tensor) -> Tensor:
        shown = f"apgd-{part.loss}" if name == "apgd" else name
        report(shown, 0, len(x))
        x_adv = run(attack, x, labels)
        report(shown, len(x), len(x))
        return x_adv

    for name, part in parts.items():
        part.perturb = partial(perturb, name, part, part.perturb)
