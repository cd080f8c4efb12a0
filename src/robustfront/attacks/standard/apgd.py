"""APGD (Croce & Hein 2020 b, Algorithm 1): gradient ascent with momentum whose step size adapts itself.

At checkpoints, which come closer together, the step size of an image is halved and its ascent restarted from
its best point if the loss rose in too few steps since the last one (condition 1), or if neither the step size
nor the best loss changed (condition 2). In `apgd`, which evaluates, an image that falls is done with; in
`climb`, which training attacks do, none is.

As in the authors' code, condition 1 compares the loss after the first step with 0 and not with that of the
start, and condition 2 is not tried at the first checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from robustfront.attacks import objectives
from robustfront.attacks.standard.problem import Outcome, Problem, Standing

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits (B, K), labels (B,), target classes (B,)) -> the loss to ascend, (B,)."""

Draw = Callable[[Callable[..., Tensor]], Tensor]
"""torch.rand or torch.randn -> numbers of that kind, of the shape of the images they are for."""

STEPS = 100
MOMENTUM, ENOUGH_RISES = 0.75, 0.75
FIRST_PERIOD, PERIOD_DECREASE, LEAST_PERIOD = 0.22, 0.03, 0.06
"""Steps between checkpoints, as shares of all steps: the first time, how much less each time, the least."""


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Of the label; there is no target."""
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def untargeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Difference of logits ratio (Croce & Hein 2020 b, Eq. 6); there is no target."""
    return objectives.dlr(logits, labels)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2): Croce & Hein 2020 b, Eq. 7."""
    ordered = logits.sort(dim=1).values
    row = torch.arange(len(logits), device=logits.device)
    spread = ordered[:, -1] - 0.5 * (ordered[:, -3] + ordered[:, -4]) + 1e-12
    return (logits[row, targets] - logits[row, labels]) / spread


@dataclass
class _State(Standing):
    """Of each image: `x` the original, `now` and `before` two iterates, `at_*` as of the last checkpoint."""

    x: Tensor
    labels: Tensor
    targets: Tensor
    now: Tensor
    before: Tensor
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    step_size: Tensor
    rises: Tensor
    at_best_loss: Tensor
    at_halved: Tensor


def apgd(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    targets: Tensor,
    loss: Loss,
    *,
    start: Tensor,
    steps: int = STEPS,
) -> Outcome:
    """One ascent of `loss` from `start` (B, C, H, W), a point of the ball."""
    outcome = Outcome.of(x)
    state, wrong = _start(problem, x, labels, targets, loss, start)
    state = _without_fallen(problem, state, wrong, outcome)
    for step, period in enumerate(_checkpoints(steps)):
        if len(state.index) == 0:
            break
        _step(problem, state, MOMENTUM if step else 1.0)
        state = _without_fallen(problem, state, _look(problem, state, loss), outcome)
        if period:
            _checkpoint(state, period)
    return outcome


def random_start(problem: Problem, x: Tensor, draw: Draw) -> Tensor:
    """A point on the sphere around each image, brought into the box."""
    noise = 2 * draw(torch.rand) - 1 if problem.norm == "linf" else draw(torch.randn)
    return (x + problem.eps * problem.unit(noise.to(x.device)).to(x.dtype)).clamp(0, 1)


def climb(
    problem: Problem, x: Tensor, labels: Tensor, targets: Tensor, loss: Loss, *, start: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """`apgd` of all images to its end: the points of largest loss (B, C, H, W), and these losses (B,).

    The host never waits for the device.
    """
    state, _ = _start(problem, x, labels, targets, loss, start)
    for step, period in enumerate(_checkpoints(steps)):
        _step(problem, state, MOMENTUM if step else 1.0)
        _look(problem, state, loss)
        if period:
            _checkpoint(state, period)
    return state.best, state.best_loss


def _checkpoints(steps: int) -> Iterator[int]:
    """For each step, if a checkpoint follows it, the number of steps since the last one; else 0."""
    period, since = max(int(FIRST_PERIOD * steps), 1), 0
    for _ in range(steps):
        since += 1
        if since < period:
            yield 0
        else:
            yield period
            period = max(period - max(int(PERIOD_DECREASE * steps), 1), int(LEAST_PERIOD * steps), 1)
            since = 0


def _start(
    problem: Problem, x: Tensor, labels: Tensor, targets: Tensor, loss: Loss, start: Tensor
) -> tuple[_State, Tensor]:
    """The state at `start`, and which predictions are wrong there."""
    values, gradient, wrong = _evaluate(problem, start, labels, targets, loss)
    state = _State(
        index=torch.arange(len(x), device=x.device),
        x=x,
        labels=labels,
        targets=targets,
        now=start,
        before=start,
        gradient=gradient,
        loss=torch.zeros_like(values),
        best=start,
        best_gradient=gradient,
        best_loss=values,
        step_size=torch.full_like(values, 2 * problem.eps).view(-1, 1, 1, 1),
        rises=torch.zeros_like(values),
        at_best_loss=values,
        at_halved=torch.ones_like(wrong),
    )
    return state, wrong


def _without_fallen(problem: Problem, state: _State, wrong: Tensor, outcome: Outcome) -> _State:
    """Records which of the images `wrong` (B,) fell and keeps the rest."""
    fell = problem.fooled(wrong, state.now, state.labels)
    outcome.record(state.index, state.now, fell)
    return state.only(~fell)


def _step(problem: Problem, state: _State, momentum: float) -> None:
    """Moves `now` along the gradient and along its last movement, both times back into the ball."""
    movement = state.now - state.before
    state.before = state.now
    direction = state.gradient.sign() if problem.norm == "linf" else problem.unit(state.gradient)
    ascended = _project(problem, state.now + state.step_size * direction, state.x)
    mixed = state.now + (ascended - state.now) * momentum + movement * (1 - momentum)
    state.now = _project(problem, mixed, state.x)


def _project(problem: Problem, x_adv: Tensor, x: Tensor) -> Tensor:
    if problem.norm == "linf":
        return x_adv.clamp(x - problem.eps, x + problem.eps).clamp(0, 1)
    delta = x_adv - x
    return (x + problem.unit(delta) * problem.size(delta).clamp(max=problem.eps)).clamp(0, 1)


def _look(problem: Problem, state: _State, loss: Loss) -> Tensor:
    """Evaluates `now`; which predictions are wrong there, (B,)."""
    values, state.gradient, wrong = _evaluate(problem, state.now, state.labels, state.targets, loss)
    state.rises = state.rises + (values > state.loss)
    state.loss = values
    better = values > state.best_loss
    state.best_loss = torch.where(better, values, state.best_loss)
    wider = better.view(-1, 1, 1, 1)
    state.best = torch.where(wider, state.now, state.best)
    state.best_gradient = torch.where(wider, state.gradient, state.best_gradient)
    return wrong


def _checkpoint(state: _State, period: int) -> None:
    few_rises = state.rises <= ENOUGH_RISES * period
    stuck = ~state.at_halved & (state.at_best_loss >= state.best_loss)
    halved = few_rises | stuck
    state.at_halved, state.at_best_loss = halved, state.best_loss
    state.rises = torch.zeros_like(state.rises)
    wider = halved.view(-1, 1, 1, 1)
    state.step_size = torch.where(wider, state.step_size / 2, state.step_size)
    state.now = torch.where(wider, state.best, state.now)
    state.gradient = torch.where(wider, state.best_gradient, state.gradient)


def _evaluate(
    problem: Problem, points: Tensor, labels: Tensor, targets: Tensor, loss: Loss
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, its gradient and whether the prediction is wrong, at each point."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        logits = problem.exact(points)
        values = loss(logits, labels, targets)
        (gradient,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradient, logits.argmax(dim=1) != labels
