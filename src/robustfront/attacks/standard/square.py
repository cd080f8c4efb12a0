"""Square Attack (Andriushchenko et al. 2020): random search over squares, by logits only.

A candidate is kept if the margin z_y - max_{k != y} z_k falls. An image that falls is done with.

For linf (Algorithm 2) all images of a batch get the same squares with the same signs. So it is known what
will be tried next if a candidate is rejected, as nearly all are in the end: of few images several candidates
each are asked about at once, and those after the first one that is kept are asked about again. Candidates
that are the current point itself, or were tried in vain from that very point before, are left out. None of
this changes the search.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robustfront.attacks.standard.problem import Outcome, Problem, Standing, Tick

QUERIES = 5000
FIRST_SHARE = 0.8
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After these queries the share of pixels that a square covers is halved."""

AT_ONCE = {"cpu": 32}
"""Candidates for linf worth asking about at once, by kind of device."""
AT_ONCE_ELSEWHERE = 512
PATIENCE = 50
"""One more candidate is tried ahead for so many queries that are over: at first, many are kept."""


@dataclass
class _State(Standing):
    """Of each image: the original, the point reached, its margin, the query that led there, the next one."""

    x: Tensor
    labels: Tensor
    now: Tensor
    margin: Tensor
    since: Tensor
    at: Tensor


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


@dataclass(frozen=True)
class _Plan:
    """What each query tries, whatever came of the ones before: (queries,) and, `step`, (queries, C, 1, 1)."""

    side: Tensor
    top: Tensor
    left: Tensor
    step: Tensor
    earlier: Tensor
    """The last query before that tries the same; -1: none."""

    @classmethod
    def drawn(cls, queries: int, shape: torch.Size, eps: float, generator: torch.Generator) -> _Plan:
        channels, height, width = shape
        draws = torch.rand(queries, 2 + channels, generator=generator)
        side = torch.tensor([_side(query, height, width, at_least=1) for query in range(queries)])
        top, left = (draws[:, 0] * (height - side)).long(), (draws[:, 1] * (width - side)).long()
        signs = _signs(draws[:, 2:])
        earlier, last = [], dict[tuple[int, ...], int]()
        for query, tried in enumerate(
            torch.stack([side, top, left, *signs.long().unbind(1)], dim=1).tolist()
        ):
            earlier.append(last.get(tuple(tried), -1))
            last[tuple(tried)] = query
        return cls(side, top, left, 2 * eps * signs.view(-1, channels, 1, 1), torch.tensor(earlier))

    def to(self, device: torch.device) -> _Plan:
        return _Plan(*(getattr(self, field.name).to(device) for field in dataclasses.fields(self)))

    def steps(self, queries: Tensor, height: int, width: int) -> Tensor:
        """What the given `queries` (B, L) add to an image, (B, L, C, H, W)."""
        rows, columns = (torch.arange(n, device=queries.device) for n in (height, width))
        side, top, left = (of[queries].unsqueeze(-1) for of in (self.side, self.top, self.left))
        inside = ((rows >= top) & (rows < top + side)).unsqueeze(-1) & (
            (columns >= left) & (columns < left + side)
        ).unsqueeze(-2)
        return self.step[queries] * inside.unsqueeze(2)


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
    plan = _Plan.drawn(queries, x.shape[1:], problem.eps, generator).to(x.device)
    at_once = AT_ONCE.get(x.device.type, AT_ONCE_ELSEWHERE)
    while len(state.index):
        slowest = int(state.at.min())
        tick(slowest / queries)
        ahead = min(max(at_once // len(state.index), 1), 1 + slowest // PATIENCE)
        nexts = state.at.unsqueeze(1) + torch.arange(ahead, device=x.device)
        tried = nexts.clamp(max=queries - 1)
        x_wide, now = state.x.unsqueeze(1), state.now.unsqueeze(1)
        points = now + plan.steps(tried, height, width)
        points = points.clamp(x_wide - problem.eps, x_wide + problem.eps).clamp(0, 1)
        new = (points != now).flatten(2).any(dim=2) & (state.since.unsqueeze(1) >= plan.earlier[tried])
        new &= nexts < queries
        margin = torch.full(new.shape, float("inf"), dtype=state.margin.dtype, device=x.device)
        if new.any():
            label = state.labels.unsqueeze(1).expand_as(new)[new]
            margin[new] = _margin(problem.search(points[new]), label)
        notable = (margin < state.margin.unsqueeze(1)) | (margin <= 0)
        first = torch.where(notable.any(dim=1), notable.int().argmax(dim=1), ahead - 1)
        row = torch.arange(len(first), device=x.device)
        query = nexts[row, first]
        fell = _settle(problem, state, points[row, first], margin[row, first], query, outcome)
        state.at = query + 1
        state = state.only(~fell & (state.at < queries))


def _l2(
    problem: Problem,
    x: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    queries: int,
    tick: Tick,
    outcome: Outcome,
) -> None:
    """Algorithm 3: two windows per candidate; the budget of the second is spent in the first.

    How many random numbers a query takes depends on how many images still stand, so none is tried ahead.
    """
    channels, height, width = x.shape[1:]
    state = _start(problem, x, labels, _tiles(problem, x, generator), outcome)
    for query in range(queries):
        if len(state.index) == 0:
            return
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
        margin = _margin(problem.search(points), state.labels)
        fell = _settle(problem, state, points, margin, torch.full_like(state.at, query), outcome)
        state = state.only(~fell)


def _start(problem: Problem, x: Tensor, labels: Tensor, start: Tensor, outcome: Outcome) -> _State:
    margin = _margin(problem.search(start), labels)
    fell = problem.fooled(margin <= 0, start, labels)
    index = torch.arange(len(x), device=x.device)
    outcome.record(index, start, fell)
    since, at = torch.full_like(index, -1), torch.zeros_like(index)
    return _State(index, x, labels, start, margin, since, at).only(~fell)


def _settle(
    problem: Problem, state: _State, points: Tensor, margin: Tensor, query: Tensor, outcome: Outcome
) -> Tensor:
    """Moves each image to its candidate where that is better. Returns which fell, having recorded them."""
    fell = problem.fooled(margin <= 0, points, state.labels)
    outcome.record(state.index, points, fell)
    better = margin < state.margin
    state.now = torch.where(better.view(-1, 1, 1, 1), points, state.now)
    state.margin = torch.where(better, margin, state.margin)
    state.since = torch.where(better, query, state.since)
    return fell


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
