"""Running one evaluation: one attack on one model and the images of one split."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import pandas as pd
import pyautoattack
import torch
from torch import Tensor

import robustfront
from robustfront.attacks import Ball
from robustfront.attacks.engine import Runner
from robustfront.config.evaluations import (
    FINAL,
    CleanEvaluation,
    Evaluation,
    MaskingEvaluation,
)
from robustfront.config.registry import resolve
from robustfront.evaluation.batches import judge
from robustfront.evaluation.comparisons import Verdict
from robustfront.evaluation.outcomes import SCHEMA, Evaluated, fell, rate
from robustfront.evaluation.room import Room
from robustfront.evaluation.subject import Clean, Subject
from robustfront.evaluation.target import Progress, Target


def evaluate(
    subject: Subject,
    evaluation: Evaluation,
    *,
    progress: Progress = lambda part, done, total: None,
    runner: Callable[[str], Runner] = lambda name: lambda attack, x, labels: attack(x, labels),
) -> Evaluated:
    """Attacks a model; all is done in float32. The caller adds `run` to the record.

    An image misclassified when clean counts as fallen to every attack and is not attacked (`carried`), which
    is exact wherever the image itself is an allowed x'. Nothing else is carried over: AutoAttack's first
    part, APGD-CE, does what PGD does for 2 % of the whole cost, so sparing it PGD's successes would gain
    nothing and would make the check that AutoAttack is not weaker than PGD vacuous.

    With `samples`, the first so many images in `subject.order` are attacked: the same for every model, of all
    classes, fewer of them among more. The masking checks take theirs in that order too.

    Success is judged here, by the prediction at x', after making sure that x' lies in the ball. Where memory
    runs out, batches are halved: PGD goes on, AutoAttack begins anew. The record says what they came to.

    `runner(name)` runs each batch (`memory.Memory.of` recalls those it knows).

    Raises ArtefactError if the model's logits are not finite, ConfigError for an attack that cannot be run on
    it, and the error of an allocation for which there is no memory with a single image either.
    """
    began = time.perf_counter()
    device = subject.x.device
    with torch.autocast(device.type, enabled=False):
        clean = subject.clean(evaluation.batch_size)
        room = Room(clean.batch_size)
        match evaluation.attack:
            case CleanEvaluation():
                found = _as_they_are(subject, evaluation.seed, clean)
            case MaskingEvaluation():
                found = Evaluated(None, None, {"masking": _checks(subject, evaluation, clean, room)})
            case _:
                found = _attacked(subject, evaluation, clean, room, progress, runner)
    about = {
        "evaluation": evaluation.model_dump(mode="json"),
        "seconds": round(time.perf_counter() - began, 3),
        "batch_size": room.size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "versions": {
            "robustfront": robustfront.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyautoattack": pyautoattack.__version__,
        },
    }
    return Evaluated(found.rows, found.images, found.record | about)


def _as_they_are(subject: Subject, seed: int, clean: Clean) -> Evaluated:
    everything = torch.arange(len(subject.x), device=subject.x.device)
    nothing = torch.zeros_like(everything, dtype=torch.bool)
    rows = _rows(FINAL, everything, subject.y, clean.prediction, clean.loss, nothing)
    return _evaluated(subject, seed, rows, {FINAL: subject.x}, everything)


def _checks(subject: Subject, evaluation: Evaluation, clean: Clean, room: Room) -> list[Verdict]:
    order = subject.order(evaluation.seed)
    able = order[(clean.prediction == subject.y)[order]]
    checks: Callable[..., list[Verdict]] = resolve(evaluation.attack.made_by, type(evaluation.attack))
    return checks(
        subject.model,
        subject.x[able],
        subject.y[able],
        able,
        _ball(subject, evaluation),
        seed=evaluation.seed,
        room=room,
    )


def _attacked(
    subject: Subject,
    evaluation: Evaluation,
    clean: Clean,
    room: Room,
    progress: Progress,
    runner: Callable[[str], Runner],
) -> Evaluated:
    x, y, ball = subject.x, subject.y, _ball(subject, evaluation)
    carried = (clean.prediction != y) & ball.contains(x, x)
    seen = subject.order(evaluation.seed)[: evaluation.samples].sort().values
    attacked = seen[~carried[seen]]
    x_adv = _craft(subject, attacked, evaluation, ball, room, progress, runner)
    parts = []
    for outcome, crafted in x_adv.items():
        outside = int((~ball.contains(crafted, x[attacked])).sum())
        if outside:
            raise RuntimeError(
                f"{evaluation.attack.label} left the ball on {outside} of {len(crafted)} images"
            )
        prediction, loss = clean.prediction.clone(), clean.loss.clone()
        prediction[attacked], loss[attacked] = judge(subject.model, crafted, y[attacked], room)
        parts.append(_rows(outcome, seen, y, prediction, loss, carried))
    return _evaluated(subject, evaluation.seed, pd.concat(parts, ignore_index=True), x_adv, attacked)


def _ball(subject: Subject, evaluation: Evaluation) -> Ball:
    assert evaluation.threat is not None, "an Evaluation makes sure of it"
    return Ball.of(evaluation.threat, subject.model.mean, subject.model.std)


def _craft(
    subject: Subject,
    attacked: Tensor,
    evaluation: Evaluation,
    ball: Ball,
    room: Room,
    progress: Progress,
    runner: Callable[[str], Runner],
) -> dict[str, Tensor]:
    """Outcome -> x' of the images at the positions `attacked`."""
    attack = evaluation.attack
    target = Target(
        attack.label,
        subject.model,
        subject.x[attacked],
        subject.y[attacked],
        attacked,
        ball,
        evaluation.seed,
        room,
        runner,
        progress,
    )
    target.done(0)
    make: Callable[..., dict[str, Tensor]] = resolve(attack.made_by, type(attack))
    return make(attack, target)


def _rows(
    outcome: str, seen: Tensor, labels: Tensor, prediction: Tensor, loss: Tensor, carried: Tensor
) -> pd.DataFrame:
    """The rows of one outcome, of the images at the positions `seen`; the other tensors are of all images."""
    columns = {
        "sample": seen.cpu().numpy(),
        "outcome": outcome,
        "label": labels[seen].cpu().numpy(),
        "prediction": prediction[seen].cpu().numpy(),
        "loss": loss[seen].cpu().numpy(),
        "success": (prediction != labels)[seen].cpu().numpy(),
        "carried": carried[seen].cpu().numpy(),
    }
    return pd.DataFrame(columns, columns=SCHEMA.names)


def _evaluated(
    subject: Subject, seed: int, rows: pd.DataFrame, x_adv: dict[str, Tensor], attacked: Tensor
) -> Evaluated:
    """With the images to show: x' where they were `attacked`, the images themselves elsewhere."""
    shown = subject.shown(seed)
    at = torch.full_like(subject.y, -1)
    at[attacked] = torch.arange(len(attacked), device=at.device)
    known = at[shown] >= 0
    images = {"samples": shown}
    for outcome, crafted in x_adv.items():
        images[outcome] = subject.x[shown]
        images[outcome][known] = crafted[at[shown][known]]
    plain = {name: tensor.cpu().contiguous().numpy() for name, tensor in images.items()}
    rates = {outcome: rate(fell(rows, outcome)) for outcome in x_adv}
    return Evaluated(rows, plain, {"outcomes": rates})
