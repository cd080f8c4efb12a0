"""Running one evaluation: one attack on one model and the images of one split."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pandas as pd
import pyautoattack
import torch
from torch import Tensor

import robustfront
from robustfront.attacks import Ball
from robustfront.attacks.company import InCompany
from robustfront.attacks.engine import Runner
from robustfront.config.evaluations import (
    FINAL,
    MASKING_IMAGES,
    CleanEvaluation,
    Evaluation,
    MaskingEvaluation,
    given,
)
from robustfront.config.registry import resolve
from robustfront.errors import ConfigError
from robustfront.evaluation.batches import judge
from robustfront.evaluation.outcomes import SCHEMA, Evaluated, Verdict, fell, rate
from robustfront.evaluation.room import Room
from robustfront.evaluation.subject import Clean, Subject
from robustfront.evaluation.target import Progress, Target
from robustfront.models.batch_norm import filled

if TYPE_CHECKING:
    from robustfront.models import Classifier


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

    With a `condition` the model is told it. What an attack made is then judged at each of `judged_at` as
    well; it is given all images, as one that is misclassified here need not be so there (AutoAttack leaves it
    alone all the same), and at each condition those that are misclassified there when clean count as fallen
    (`carried`).

    With `whole_batches` the images come in batches that are always the same (`filled`), all of them are
    attacked together and judged together, and no success is carried over. An attack may leave out those that
    fell (`leaves_out`): their places are taken by images as they are (`InCompany`), and what is judged is the
    batch of all x' in the end. Where memory runs out such an evaluation fails.

    Success is judged here, by the prediction at x', after making sure that x' lies in the ball. Where memory
    runs out, batches are halved: PGD goes on, AutoAttack begins anew. The record says what they came to.

    `runner(name)` runs each batch (`memory.Memory.of` recalls those it knows).

    Raises ArtefactError if the model's logits are not finite, ConfigError for an attack that cannot be run on
    it, and the error of an allocation for which there is no memory with a single image either.
    """
    began = time.perf_counter()
    device = subject.x.device
    with torch.autocast(device.type, enabled=False):
        told = subject.given(evaluation.condition)
        clean = told.clean(evaluation)
        room = clean.room
        match evaluation.attack:
            case CleanEvaluation():
                found = _as_they_are(told, evaluation.seed, clean)
            case MaskingEvaluation():
                found = Evaluated(None, None, {"masking": _checks(told, evaluation, clean, room)})
            case _:
                judges = {given(other): subject.given(other) for other in evaluation.judged_at}
                found = _attacked(told, judges, evaluation, room, progress, runner)
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
    order, able = subject.order(evaluation.seed), clean.prediction == subject.y
    counted, seen = None, order[able[order]]
    if evaluation.whole_batches:
        first = order[: -(-MASKING_IMAGES // room.size) * room.size]
        seen, _ = filled(first, room.size)
        counted = able[seen]
        counted[len(first) :] = False
    checks: Callable[..., list[Verdict]] = resolve(evaluation.attack.made_by, type(evaluation.attack))
    return checks(
        subject.model,
        subject.x[seen],
        subject.y[seen],
        seen,
        _ball(subject, evaluation),
        seed=evaluation.seed,
        room=room,
        counted=counted,
    )


def _attacked(
    subject: Subject,
    judges: Mapping[str, Subject],
    evaluation: Evaluation,
    room: Room,
    progress: Progress,
    runner: Callable[[str], Runner],
) -> Evaluated:
    """`judges`: outcome -> who judges what `subject` was attacked to, beside `subject` itself."""
    x, y, ball = subject.x, subject.y, _ball(subject, evaluation)
    itself = ball.contains(x, x)  # whether the image is an allowed x'

    def carried_by(judging: Subject) -> Tensor:
        if evaluation.whole_batches:
            return torch.zeros_like(itself)
        return (judging.clean(evaluation).prediction != y) & itself

    order = subject.order(evaluation.seed)[: evaluation.samples]
    seen = order.sort().values
    if evaluation.whole_batches:
        lineup, room.size = filled(order, room.size)
    else:
        lineup = seen if judges else seen[~carried_by(subject)[seen]]
    x_adv = _craft(subject, lineup, evaluation, ball, room, progress, runner)
    counting = slice(len(seen))  # what fills up a batch comes last
    outside = sum(int((~ball.contains(crafted, x[lineup])).sum()) for crafted in x_adv.values())
    if outside:
        raise RuntimeError(f"{evaluation.attack.label} left the ball on {outside} of {len(lineup)} images")
    x_adv |= dict.fromkeys(judges, x_adv[FINAL])
    parts = []
    for outcome, crafted in x_adv.items():
        judging = judges.get(outcome, subject)
        clean, carried = judging.clean(evaluation), carried_by(judging)
        prediction, loss = clean.prediction.clone(), clean.loss.clone()
        found = judge(judging.model, crafted, y[lineup], room)
        fresh = ~carried[lineup[counting]]
        for values, judged in zip((prediction, loss), found, strict=True):
            values[lineup[counting][fresh]] = judged[counting][fresh]
        parts.append(_rows(outcome, seen, y, prediction, loss, carried))
    shown = {outcome: crafted[counting] for outcome, crafted in x_adv.items()}
    return _evaluated(subject, evaluation.seed, pd.concat(parts, ignore_index=True), shown, lineup[counting])


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
    if subject.model.classes < attack.fewest_classes:
        raise ConfigError(
            f"attack '{attack.label}' needs {attack.fewest_classes} classes or more, not "
            f"{subject.model.classes}: use 'pgd' with objective 'margin' and several restarts"
        )
    make: Callable[..., dict[str, Tensor]] = resolve(attack.made_by, type(attack))

    def made(model: Classifier, images: Tensor) -> dict[str, Tensor]:
        x, y, seed = subject.x[images], subject.y[images], evaluation.seed
        target = Target(attack.label, model, x, y, images, ball, seed, room, runner, progress)
        target.done(0)
        return make(attack, target)

    if not (evaluation.whole_batches and attack.leaves_out):
        return made(subject.model, attacked)
    batches = [made(InCompany(subject.model, subject.x[batch]), batch) for batch in attacked.split(room.size)]
    return {outcome: torch.cat([found[outcome] for found in batches]) for outcome in batches[0]}


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
