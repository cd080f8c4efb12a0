"""One projected gradient ascent; FGSM, PGD and the inner loops of TRADES, SCORE, NPAT are settings of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from robustfront import losses
from robustfront.attacks import objectives
from robustfront.attacks.ball import Ball
from robustfront.attacks.draws import ByPosition, PartGenerator, Source
from robustfront.attacks.objectives import Objective
from robustfront.config.schema import Ascent
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.models import Classifier

AtStep = Callable[[int], "tuple[Classifier, Objective]"]
"""Step of an ascent, from 0 -> the network that is attacked and what is ascended."""
FeatureGradient = Callable[[Tensor], Tensor]
Attack = Callable[[Tensor, Tensor], Tensor]
"""(x, labels) of a batch -> x'."""
Runner = Callable[[Attack, Tensor, Tensor], Tensor]
"""Runs an attack on a batch (x, labels), or knows the result from an evaluation that was interrupted."""


def pgd(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    ascent: Ascent,
    *,
    objective: Objective = objectives.ce,
    generator: Source | None = None,
    feature_gradient: FeatureGradient | None = None,
    first: Classifier | None = None,
    start: Tensor | None = None,
    at_step: AtStep | None = None,
) -> Tensor:
    """Adversarial images x' (B, C, H, W) by projected gradient ascent on `objective` (Madry et al. 2018).

    The last iterate is returned; of several restarts the worst per image: wrongly classified before
    correctly, then the larger objective. The model's mode is the caller's business and is left alone. Its
    weights are frozen meanwhile: no gradient of theirs is computed and their `.grad` stays as it was. The
    host never waits for the device.

    `feature_gradient` maps dL/dh, float32 (B, D), at h = model.features(x) to what is propagated on to x
    instead, in the same backward pass; NPDA puts its projector here (S000, Algorithm 1). The first step is
    made on `first`, if given, without autocast.

    The ascent begins at `start`, if given, instead of where `ascent` says. `at_step(step)` gives the network
    and the objective of a step (from 0) where they are not `model` and `objective`. An objective may also be
    one number for the whole batch. ConfigError for restarts of either an ascent from `start` or such an
    objective: they would all be the same, or could not be ranked image by image. Also for such an objective
    of a part of a batch.
    """
    if start is not None and ascent.restarts > 1:
        raise ConfigError("an attack from a given image has no restarts: set attack.restarts to 1")
    x = x.detach()

    def ascend() -> Tensor:
        steps = iterates(
            model,
            x,
            labels,
            ball,
            ascent,
            objective=objective,
            generator=generator,
            feature_gradient=feature_gradient,
            first=first,
            start=start,
            at_step=at_step,
        )
        return deque(steps, maxlen=1).pop()  # no other one is kept in memory

    with frozen(model), frozen(first or model):
        best = ascend()
        if ascent.restarts == 1:
            return best
        best_wrong, best_value = _outcome(model, best, labels, objective)
        for _ in range(ascent.restarts - 1):
            x_adv = ascend()
            wrong, value = _outcome(model, x_adv, labels, objective)
            worse = (wrong & ~best_wrong) | ((wrong == best_wrong) & (value > best_value))
            best = torch.where(worse.view(-1, 1, 1, 1), x_adv, best)
            best_wrong, best_value = best_wrong | wrong, torch.where(worse, value, best_value)
        return best


def until_fallen(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    ascent: Ascent,
    generator: ByPosition,
    *,
    objective: Objective = objectives.ce,
    targets: Tensor | None = None,
) -> Tensor:
    """`pgd` with restarts of which each attacks only the images that are classified correctly until then.

    With `targets`, int64 (B, T), there are T ascents instead, the i-th of minus the objective for the classes
    of column i: with `ce`, of log p_target.

    x' (B, C, H, W) of an image that falls is that of the first restart that fells it; otherwise the one with
    the largest objective. An image draws what it would draw in `pgd`, so the same images fall, apart from
    rounding. `ball` has one radius for all images. The host waits for the device after each restart.
    """
    found, largest = x.clone(), x.new_full((len(x),), -float("inf"))
    standing = torch.arange(len(x), device=x.device)
    once = ascent.model_copy(update={"restarts": 1})
    goals, ascended = [labels] * ascent.restarts, objective
    if targets is not None:
        goals, ascended = list(targets.unbind(1)), lambda logits, goal: -objective(logits, goal)
    for goal in goals:
        x_adv = pgd(model, x[standing], goal[standing], ball, once, objective=ascended, generator=generator)
        wrong, value = _outcome(model, x_adv, labels[standing], objective)
        worse = wrong | (value > largest[standing])
        found[standing[worse]], largest[standing[worse]] = x_adv[worse], value[worse]
        standing = standing[~wrong]
        generator.keep(~wrong)
        if not len(standing):
            break
    return found


def iterates(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    ascent: Ascent,
    *,
    objective: Objective = objectives.ce,
    generator: Source | None = None,
    feature_gradient: FeatureGradient | None = None,
    first: Classifier | None = None,
    start: Tensor | None = None,
    at_step: AtStep | None = None,
) -> Iterator[Tensor]:
    """The start of one ascent and its image after each step: what `pgd` goes through, restarts aside."""
    x_adv = ball.start(x, ascent, generator, start)
    yield x_adv
    for step in range(ascent.steps):
        network, ascended = at_step(step) if at_step else (model, objective)
        if isinstance(generator, PartGenerator) and generator.is_cut:
            ascended = _image_by_image(ascended)
        if step == 0 and first is not None:
            with torch.autocast(x.device.type, enabled=False):
                gradient = input_gradient(first, x_adv, labels, ascended, feature_gradient)
        else:
            with frozen(network):
                gradient = input_gradient(network, x_adv, labels, ascended, feature_gradient)
        x_adv = ball.project(ball.step(x_adv, gradient, ascent.step_size), x)
        yield x_adv


def input_gradient(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    objective: Objective = objectives.ce,
    feature_gradient: FeatureGradient | None = None,
) -> Tensor:
    """dL/dx (B, C, H, W), L each image's own objective, or the batch's.

    `feature_gradient` acts on the way (see `pgd`).
    """
    no_autocast = torch.autocast(x.device.type, enabled=False)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        if feature_gradient is None:
            logits = model(x)
        else:
            # float32 from the features on: rounding in bfloat16 would fill the directions a projector removes
            features = losses.widen(model.features(x))
            features.register_hook(feature_gradient)
            with no_autocast:
                logits = model.head(features)
        with no_autocast:  # the backward pass takes its types from the forward pass, not from autocast anew
            return torch.autograd.grad(objective(logits, labels).sum(), x)[0]


def _image_by_image(objective: Objective) -> Objective:
    """The objective, of which a part of a batch is enough. ConfigError where it is not."""

    def of_part(logits: Tensor, labels: Tensor) -> Tensor:
        value = objective(logits, labels)
        if value.ndim == 0:
            raise ConfigError(
                "an objective of the whole batch was given a part of one: the method has to say "
                "`per_image = False`"
            )
        return value

    return of_part


@torch.no_grad()
def _outcome(model: Classifier, x: Tensor, labels: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Whether each image is classified wrongly, and its objective."""
    logits = model(x)
    value = objective(logits, labels)
    if value.ndim == 0:
        raise ConfigError("an objective of the whole batch cannot rank restarts: set attack.restarts to 1")
    return logits.argmax(dim=1) != labels, value


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Within the context no parameter of `model` requires a gradient.

    `autograd.grad` for x alone skips weight gradients by itself in eager mode. A compiled backward pass does
    not, and pyautoattack calls `backward()`, which would fill `.grad`.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
