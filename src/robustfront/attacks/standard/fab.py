"""FAB (Croce & Hein 2020 a) and FAB-T (targeted as in 2020 b): walks along the boundary to another class.

Each iteration takes the network for linear and steps onto the plane where label and target tie, part of the
way (alpha, from the distances) towards the point of that plane nearest to the original image, both times with
overshoot; a point that is classified wrongly is drawn back towards the original.
FAB-T keeps to one target; FAB takes, in each iteration, the class whose plane is the nearest, which needs a
gradient of every class. Only a point within eps is asked for, so an image is done with as soon as there is
one. A further restart begins elsewhere (`nearby`); nothing else draws a random number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustfront.attacks.standard.apgd import Draw
from robustfront.attacks.standard.problem import Outcome, Problem, Standing

STEPS = 100
LARGEST_ALPHA, OVERSHOOT, DRAW_BACK = 0.1, 1.05, 0.9
AT_ONCE = 64
"""Images times target classes in a batch, if there are few images; more gain nothing on a CPU core."""
SMALLEST_SLOPE = 1e-8
"""Coordinates with a smaller gradient are not moved in l2, as in the authors' code."""


@dataclass
class _State(Standing):
    x: Tensor
    labels: Tensor
    targets: Tensor
    now: Tensor


def fab(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    targets: Tensor | None = None,
    *,
    steps: int = STEPS,
    start: Tensor | None = None,
) -> Outcome:
    """Walks along the boundary between each image's label and its target class; None: the nearest one.

    They begin at `start`, or at the images themselves.
    """
    outcome = Outcome.of(x)
    index = torch.arange(len(x), device=x.device)
    state = _State(index, x, labels, labels if targets is None else targets, x if start is None else start)
    linearised = _nearest if targets is None else _linearised
    for _ in range(steps):
        if len(state.index) == 0:
            break
        state.now = _step(problem, state, *linearised(problem, state))
        with torch.no_grad():
            wrong = problem.search(state.now).argmax(dim=1) != state.labels
        near = problem.size(state.now - state.x).flatten() <= problem.eps
        fell = problem.fooled(wrong & near, state.now, state.labels)
        outcome.record(state.index, state.now, fell)
        drawn_back = state.x + (state.now - state.x) * DRAW_BACK
        state.now = torch.where(wrong.view(-1, 1, 1, 1), drawn_back, state.now)
        state = state.only(~fell)
    return outcome


def nearby(problem: Problem, x: Tensor, draw: Draw) -> Tensor:
    """A point half of eps away from each image, where a further restart begins; brought into the box."""
    noise = 2 * draw(torch.rand) - 1 if problem.norm == "linf" else draw(torch.randn)
    noise = noise.to(x)
    return (x + problem.eps * noise / problem.size(noise) * 0.5).clamp(0, 1)


def _step(problem: Problem, state: _State, gap: Tensor, slope: Tensor) -> Tensor:
    gap_at_x = gap + (slope * (state.x - state.now)).flatten(1).sum(dim=1)
    towards, from_x = (
        to_plane(problem.norm, point.flatten(1), slope.flatten(1), height).view_as(point)
        for point, height in ((state.now, gap), (state.x, gap_at_x))
    )
    distance, distance_from_x = problem.size(towards).clamp(min=1e-8), problem.size(from_x).clamp(min=1e-8)
    alpha = (distance / (distance + distance_from_x)).clamp(max=LARGEST_ALPHA)
    moved = (state.now + OVERSHOOT * towards) * (1 - alpha) + (state.x + OVERSHOOT * from_x) * alpha
    return moved.clamp(0, 1)


def _linearised(problem: Problem, state: _State) -> tuple[Tensor, Tensor]:
    """z_target - z_label at `now`, (B,), and its gradient (B, C, H, W)."""
    with torch.enable_grad():
        point = state.now.detach().requires_grad_()
        logits = problem.search(point)
        row = torch.arange(len(logits), device=logits.device)
        gap = logits[row, state.targets] - logits[row, state.labels]
        (slope,) = torch.autograd.grad(gap.sum(), point)
    return gap.detach(), slope


def _nearest(problem: Problem, state: _State) -> tuple[Tensor, Tensor]:
    """As `_linearised`, of the class k whose plane is the nearest to `now`: |gap_k| over the dual norm of its
    slope is the least."""
    order = 1 if problem.norm == "linf" else 2
    with torch.enable_grad():
        point = state.now.detach().requires_grad_()
        logits = problem.search(point)
        gaps = logits - logits.gather(1, state.labels[:, None])
        nearest = torch.full_like(gaps[:, 0].detach(), float("inf"))
        gap, slope = torch.zeros_like(nearest), torch.zeros_like(point)
        for other in range(gaps.shape[1]):
            (towards,) = torch.autograd.grad(gaps[:, other].sum(), point, retain_graph=True)
            steepness = torch.linalg.vector_norm(towards.flatten(1), ord=order, dim=1)
            away = gaps[:, other].detach().abs() / (1e-12 + steepness)
            nearer = (away < nearest) & (state.labels != other)
            nearest = torch.where(nearer, away, nearest)
            gap = torch.where(nearer, gaps[:, other].detach(), gap)
            slope = torch.where(nearer.view(-1, 1, 1, 1), towards, slope)
    return gap, slope.detach()


def to_plane(norm: str, point: Tensor, slope: Tensor, height: Tensor) -> Tensor:
    """The smallest d (B, D) with height + slope . d = 0 and point + d in [0, 1].

    Where there is none, d leads to the corner of the box that comes nearest to the plane.

    Each coordinate moves against or along its slope by min(lambda r, its room), with r = 1 for linf and r =
    |slope| for l2. What that gains is concave and piecewise linear in lambda, so Newton's method from 0 rises
    to the solution and is exact after finitely many steps, a handful in practice; no sorting is needed.
    """
    if norm == "l2":
        slope = torch.where(slope.abs() > SMALLEST_SLOPE, slope, 0)
    steepness = slope.abs()
    direction = -slope.sign() * torch.where(height >= 0, 1, -1).unsqueeze(1)
    room = torch.where(direction > 0, 1 - point, point)
    room = torch.where(direction == 0, 0, room)
    wanted = height.abs().unsqueeze(1)
    rate = torch.ones_like(steepness) if norm == "linf" else steepness
    gain, limit = steepness * rate, steepness * room  # per unit of lambda; at most
    free = room > 0
    scale = torch.zeros_like(wanted)
    while True:
        slope_of_gain = torch.where(free, gain, 0).sum(dim=1, keepdim=True)
        missing = wanted - torch.where(free, 0, limit).sum(dim=1, keepdim=True)
        scale = torch.where(slope_of_gain > 0, missing / slope_of_gain, scale).maximum(scale)
        still_free = free & (scale * rate < room)
        if torch.equal(still_free, free):
            return direction * torch.minimum(scale * rate, room)
        free = still_free
