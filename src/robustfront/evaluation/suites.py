"""Running a suite: every attack of a list, on the same test images, inside one threat model."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyautoattack
import torch
from torch import Tensor

import robustfront
from robustfront import losses
from robustfront.attacks import Ball, objectives, pgd
from robustfront.attacks.autoattack import autoattack
from robustfront.config.schema import EvaluationAttack, Suite
from robustfront.data.augment import to_float
from robustfront.data.store import Split
from robustfront.errors import ArtefactError
from robustfront.evaluation import masking
from robustfront.evaluation.outcomes import CLEAN, SCHEMA, aggregate

if TYPE_CHECKING:
    from robustfront.models import Classifier

Progress = Callable[[str, int, int], None]
"""Called as (attack, images done, images in all)."""

OBJECTIVES = {"ce": objectives.ce, "dlr": objectives.dlr, "margin": objectives.margin}


def evaluate(
    model: Classifier,
    split: Split,
    suite: Suite,
    *,
    device: torch.device | str,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Runs `suite` on a test split; returns a row per image per attack, and the summary (without its `run`).

    The model is moved to `device` and put into eval mode; everything runs in float32 without autocast, with
    deterministic cuDNN kernels. The clean images come first. An image misclassified when clean counts as fallen
    for every attack and is not attacked (`carried`): that is exact wherever the image itself is an allowed x'.
    Nothing else is carried over. AutoAttack contains APGD-CE, which fells what PGD fells for 2 % of its cost, so
    sparing it PGD's successes would gain nothing, and would make the check that AutoAttack is not weaker vacuous.

    Success is judged here, by the prediction at x', after checking that each x' lies in the ball.

    Raises ArtefactError if the model's logits are not finite, ConfigError for an attack that cannot be run on this
    model, RuntimeError if an attack leaves the ball (a bug, not a user's mistake).
    """
    began = time.perf_counter()
    device = torch.device(device)
    model = model.to(device).eval()
    x, y = to_float(split.images.to(device)), split.labels.to(device)
    ball = Ball.of(suite.threat, model.mean, model.std)
    notify = progress or (lambda attack, done, total: None)
    deterministic = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=torch.backends.cudnn.allow_tf32
    )
    with deterministic, torch.autocast(device.type, enabled=False):
        prediction, loss = _judge(model, x, y, suite.batch_size)
        _check_finite(loss)
        correct = prediction == y
        carried = ~correct & ball.contains(x, x)
        parts = [_rows(CLEAN, y, prediction, loss, torch.zeros_like(carried))]
        for name, attack in suite.attacks.items():
            n = min(suite.samples.get(name, len(y)), len(y))
            attacked = (~carried[:n]).nonzero().squeeze(1)
            x_adv = _craft(name, attack, model, x[attacked], y[attacked], ball, suite, notify)
            predicted, at_adv = prediction[:n].clone(), loss[:n].clone()
            predicted[attacked], at_adv[attacked] = _judge(model, x_adv, y[attacked], suite.batch_size)
            parts.append(_rows(name, y[:n], predicted, at_adv, carried[:n]))
        rows = pd.concat(parts, ignore_index=True)
        checks = masking.from_rows(rows, suite) if suite.masking else []
        if suite.masking:
            first = correct.nonzero().squeeze(1)
            checks += masking.from_model(model, x[first], y[first], ball, suite)
    return rows, {
        "suite": suite.model_dump(mode="json"),
        "attacks": aggregate(rows, suite),
        "masking": checks,
        "seconds": round(time.perf_counter() - began, 3),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "versions": {
            "robustfront": robustfront.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyautoattack": pyautoattack.__version__,
        },
    }
