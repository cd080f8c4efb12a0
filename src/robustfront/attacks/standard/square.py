"""Square Attack (Andriushchenko et al. 2020): random search over squares, by logits only.

A candidate is kept if the margin z_y - max_{k != y} z_k falls. An image that falls is done with.

For linf (Algorithm 2) all images of a batch get the same square with the same sign per channel. Once the
squares are small, many candidates are the current point itself, or one tried in vain from that very point
before: these are not asked about again, which changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustfront.attacks.standard.problem import Outcome, Problem, Standing, Tick

QUERIES = 5000
FIRST_SHARE = 0.8
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After these queries the share of pixels that a square covers is halved."""

TICK_EVERY = 100


@dataclass
class _State(Standing):
    """Of each image: the original, the current point and its margin, and the query that led to it."""

    x: Tensor
    labels: Tensor
    now: Tensor
    margin: Tensor
    since: Tensor


def square(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    queries: int = QUERIES,
    tick: Tick = lambda fraction: None,
) -> Outcome:
    """Random search with `queries` queries. `generator` lives on the CPU, whatever the device."""
    outcome = Outcome.of(x)
    search = _linf if problem.norm == "linf" else _l2
    with torch.no_grad():
        search(problem, x, labels, generator, queries, tick, outcome)
    return outcome


def _linf(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    queries: int,
    tick: Tick,
    outcome: Outcome,
) -> None:
    channels, height, width = x.shape[1:]
    stripes = _signs(torch.rand(len(x), channels, 1, width, generator=generator)).to(x.device)
    state = _start(problem, x, labels, (x + problem.eps * stripes).clamp(0, 1), outcome)
    draws = torch.rand(queries, 2 + channels, generator=generator)
    signs = _signs(draws[:, 2:])
    steps = (2 * problem.eps * signs).view(queries, 1, channels, 1, 1).to(x.device)
    last_with: dict[tuple[int, ...], int] = {}
    for query in range(queries):
        if len(state.index) == 0:
            return
        if query % TICK_EVERY == 0:
            tick(query / queries)
        side = _side(query, height, width, at_least=1)
        top, left = (int(draws[query, axis] * (span - side)) for axis, span in ((0, height), (1, width)))
        window = (..., slice(top, top + side), slice(left, left + side))
        x_part, part = state.x[window], state.now[window]
        changed = (part + steps[query]).clamp(x_part - problem.eps, x_part + problem.eps).clamp(0, 1)
        candidate = (side, top, left, *signs[query].int().tolist())
        earlier = last_with.get(candidate, -1)
        last_with[candidate] = query
        new = (changed != part).flatten(1).any(dim=1) & (state.since >= earlier)
        rows = new.nonzero().squeeze(1)
        if len(rows):
            points = state.now[rows]
            points[window] = changed[rows]
            state = _look(problem, state, rows, points, query, outcome)


def _l2(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    queries: int,
    tick: Tick,
    outcome: Outcome,
) -> None:
    """Algorithm 3: two windows per candidate; the second one's budget is spent in the first one."""
    channels, height, width = x.shape[1:]
    state = _start(problem, x, labels, _tiles(problem, x, generator), outcome)
    for query in range(queries):
        if len(state.index) == 0:
            return
        if query % TICK_EVERY == 0:
            tick(query / queries)
        side = _side(query, height, width, at_least=3)
        corners = torch.rand(4, generator=generator)
        tops, lefts = (corners[0::2] * (height - side)).long(), (corners[1::2] * (width - side)).long()
        first, second = (
            (..., slice(top, top + side), slice(left, left + side))
            for top, left in zip(tops.tolist(), lefts.tolist(), strict=True)
        )
        bump = _bump(side, generator).to(x.device)
        signs = _signs(torch.rand(len(state.index), channels, 1, 1, generator=generator)).to(x.device)
        delta = state.now - state.x
        unspent = (problem.eps**2 - problem.size(delta) ** 2).clamp(min=0) / channels
        both = torch.zeros_like(delta[:1])
        both[first] = both[second] = 1
        budget = (unspent + _length(delta * both) ** 2).sqrt()
        shape = signs * bump + delta[first] / (1e-12 + _length(delta[first]))
        shape = shape / (1e-12 + _length(shape)) * budget
        delta[second] = 0
        delta[first] = shape
        points = (state.x + problem.eps * problem.unit(delta)).clamp(0, 1)
        state = _look(problem, state, torch.arange(len(points), device=x.device), points, query, outcome)


def _start(problem: Problem, x: Tensor, labels: Tensor, start: Tensor, outcome: Outcome) -> _State:
    margin = _margin(problem.search(start), labels)
    fell = problem.fooled(margin <= 0, start, labels)
    index = torch.arange(len(x), device=x.device)
    outcome.record(index, start, fell)
    return _State(index, x, labels, start, margin, torch.full_like(index, -1)).only(~fell)


def _look(
    problem: Problem, state: _State, rows: Tensor, points: Tensor, query: int, outcome: Outcome
) -> _State:
    """Moves the images `rows` to their `points` where that is better; what falls is recorded and dropped."""
    labels, index = state.labels[rows], state.index[rows]
    margin = _margin(problem.search(points), labels)
    fell = problem.fooled(margin <= 0, points, labels)
    outcome.record(index, points, fell)
    better = margin < state.margin[rows]
    moved = rows[better]
    state.now[moved], state.margin[moved], state.since[moved] = points[better], margin[better], query
    kept = torch.ones(len(state.index), dtype=torch.bool, device=fell.device)
    kept[rows] = ~fell
    return state.only(kept)


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    label = labels[:, None]
    return logits.gather(1, label).squeeze(1) - logits.scatter(1, label, -float("inf")).amax(dim=1)


def _side(query: int, height: int, width: int, at_least: int) -> int:
    """The side of the squares: odd for l2 (`at_least` 3), where they have a centre."""
    share = FIRST_SHARE / 2 ** sum(query > limit for limit in HALVINGS)
    side = max(round(math.sqrt(share * height * width)), at_least)
    if at_least == 3 and side % 2 == 0:
        side += 1
    return min(side, height, width)


def _signs(uniform: Tensor) -> Tensor:
    return (2 * uniform - 1).sign()


def _length(delta: Tensor) -> Tensor:
    """The l2 norm of each channel, (B, C, 1, 1)."""
    return (delta**2).sum(dim=(2, 3), keepdim=True).sqrt()


def _tiles(problem: Problem, x: Tensor, generator: torch.Generator) -> Tensor:
    """The start for l2: a grid of bumps, five or more a side, each with random signs."""
    batch, channels, height, width = x.shape
    side = height // 5
    border = (height - 5 * side) // 2
    delta = torch.zeros_like(x)
    for row in range(height // side):
        for column in range(width // side):
            bump = _bump(side, generator)
            signs = _signs(torch.rand(batch, channels, 1, 1, generator=generator))
            top, left = border + row * side, border + column * side
            window = (..., slice(top, top + side), slice(left, left + side))
            delta[window] += (bump * signs)[..., : height - top, : width - left].to(x.device)
    return (x + problem.eps * problem.unit(delta)).clamp(0, 1)


def _bump(side: int, generator: torch.Generator) -> Tensor:
    """Two half-squares of opposite sign, upright or lying by chance; (side, side), of length 1."""
    half = side // 2
    bump = torch.cat([_pyramid(half, side), -_pyramid(side - half, side)])
    bump = bump / (bump**2).sum(dim=(0, 1)).sqrt()
    return bump.T if torch.rand(1, generator=generator) > 0.5 else bump


def _pyramid(height: int, width: int) -> Tensor:
    """Nested rectangles whose heights fall off as 1 / k^2, k counting outwards in; of length 1."""
    pyramid = torch.zeros(height, width)
    middle = (height // 2, width // 2)
    for k in range(max(middle) + 1):
        top, left = max(middle[0] - k, 0), max(middle[1] - k, 0)
        pyramid[top : middle[0] + k + 1, left : middle[1] + k + 1] += 1 / (k + 1) ** 2
    return pyramid / (pyramid**2).sum(dim=(0, 1)).sqrt()
