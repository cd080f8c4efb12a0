"""Running a suite: every attack of a list on the same test images, inside one threat model."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyautoattack
import torch
from torch import Tensor

import robustfront
from robustfront.attacks import Ball
from robustfront.attacks.autoattack import autoattack
from robustfront.attacks.engine import Runner
from robustfront.config.schema import EvaluationAttack, Suite
from robustfront.data.augment import to_float
from robustfront.data.splits import stratified_order
from robustfront.data.store import Split
from robustfront.errors import ArtefactError
from robustfront.evaluation import masking
from robustfront.evaluation.batches import ascend, judge
from robustfront.evaluation.outcomes import CLEAN, SCHEMA, aggregate

if TYPE_CHECKING:
    from robustfront.models import Classifier

Progress = Callable[[str, int, int], None]
"""Called as (attack, images done, images in all); of AutoAttack also `<attack>: <part>`."""


def evaluate(
    model: Classifier,
    split: Split,
    suite: Suite,
    *,
    device: torch.device | str,
    progress: Progress = lambda attack, done, total: None,
    runner: Callable[[str], Runner] = lambda name: lambda attack, x, labels: attack(x, labels),
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Runs `suite` on a split; returns a row per image per attack, and the summary (the caller adds `run`).

    The model is moved to `device` and put into eval mode; all is done in float32. The clean images come
    first. An image misclassified when clean counts as fallen to every attack and is not attacked (`carried`),
    which is exact wherever the image itself is an allowed x'. Nothing else is carried over: AutoAttack's
    first part, APGD-CE, does what PGD does for 2 % of the whole cost, so sparing it PGD's successes would
    gain nothing and would make the check that AutoAttack is not weaker than PGD vacuous.

    An attack that the suite's `samples` names gets the first images in `stratified_order`: the same for every
    model, of all classes, fewer of them among more. The masking checks take theirs in that order too.

    Success is judged here, by the prediction at x', after making sure that x' lies in the ball.

    `runner(name)` runs each batch of the attack of that name (`memory.Memory.of` recalls those it knows).

    Raises ArtefactError if the model's logits are not finite, ConfigError for an attack that cannot be run on
    it.
    """
    began = time.perf_counter()
    device = torch.device(device)
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    x, y = to_float(split.images.to(device)), split.labels.to(device)
    ball = Ball.of(suite.threat, model.mean, model.std)
    order = torch.from_numpy(stratified_order(y.cpu().numpy(), suite.seed)).to(device)
    with torch.autocast(device.type, enabled=False):
        prediction, loss = judge(model, x, y, suite.batch_size)
        _check_finite(loss)
        correct = prediction == y
        carried = ~correct & ball.contains(x, x)
        everything = torch.arange(len(x), device=device)
        parts = [_rows(CLEAN, everything, y, prediction, loss, torch.zeros_like(carried))]
        progress(CLEAN, len(x), len(x))
        for name, attack in suite.attacks.items():
            seen = order[: suite.samples.get(name, len(x))].sort().values
            attacked = seen[~carried[seen]]
            x_adv = _craft(name, attack, model, x[attacked], y[attacked], ball, suite, progress, runner(name))
            prediction_at, loss_at = prediction.clone(), loss.clone()
            prediction_at[attacked], loss_at[attacked] = judge(model, x_adv, y[attacked], suite.batch_size)
            parts.append(_rows(name, seen, y, prediction_at, loss_at, carried))
        rows = pd.concat(parts, ignore_index=True)
        checks: list[masking.Verdict] = []
        if suite.masking:
            able = order[correct[order]]
            checks = masking.of_rows(rows, suite) + masking.of_model(model, x[able], y[able], ball, suite)
    return rows, {
        "suite": suite.model_dump(mode="json"),
        "attacks": aggregate(rows, suite),
        "masking": checks,
        "seconds": round(time.perf_counter() - began, 3),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "versions": {
            "robustfront": robustfront.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyautoattack": pyautoattack.__version__,
        },
    }


def _craft(
    name: str,
    attack: EvaluationAttack,
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    suite: Suite,
    progress: Progress,
    run: Runner,
) -> Tensor:
    """x' of one attack, each of them in the ball."""
    progress(name, 0, len(x))
    seed, batch_size = suite.seed, suite.batch_size
    if attack.kind == "autoattack":
        x_adv = autoattack(
            model,
            x,
            labels,
            ball,
            attack=attack,
            seed=seed,
            batch_size=batch_size,
            run=run,
            report=lambda part, done, given: progress(f"{name}: {part}", done, given),
        )
        progress(name, len(x), len(x))
    else:
        x_adv = ascend(
            model,
            x,
            labels,
            ball,
            attack,
            seed=seed,
            batch_size=batch_size,
            run=run,
            done=lambda images: progress(name, images, len(x)),
        )
    outside = int((~ball.contains(x_adv, x)).sum())
    if outside:
        raise RuntimeError(f"attack '{name}' left the ball on {outside} of {len(x)} images")
    return x_adv


def _rows(
    attack: str, seen: Tensor, labels: Tensor, prediction: Tensor, loss: Tensor, carried: Tensor
) -> pd.DataFrame:
    """The rows of one attack, of the images at the positions `seen`; the other tensors are of all images."""
    columns = {
        "sample": seen.cpu().numpy(),
        "attack": attack,
        "label": labels[seen].cpu().numpy(),
        "prediction": prediction[seen].cpu().numpy(),
        "loss": loss[seen].cpu().numpy(),
        "success": (prediction != labels)[seen].cpu().numpy(),
        "carried": carried[seen].cpu().numpy(),
    }
    return pd.DataFrame(columns, columns=SCHEMA.names)


def _check_finite(loss: Tensor) -> None:
    broken = int((~loss.isfinite()).sum())
    if broken:
        raise ArtefactError(
            f"model: its logits are not finite on {broken} of {len(loss)} clean images; "
            "delete the run and train it again"
        )
