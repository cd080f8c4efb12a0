"""Schedules of knots against torch's cyclic schedulers, iteration by iteration, momentum included."""

import pytest
import torch
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR

from robustfront.config.schedules import Position
from robustfront.config.schedules.knots import KnotSchedule

STEPS = 7
"""Of an epoch."""


def ours(schedule: KnotSchedule, peak: float, epochs: int) -> list[tuple[float, float | None]]:
    at = [Position(step, STEPS * epochs, STEPS) for step in range(STEPS * epochs)]
    return [(schedule.rate_at(peak, each), schedule.momentum_at(each)) for each in at]


def optimizer(lr: float) -> torch.optim.SGD:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)


def stepped(sgd: torch.optim.SGD) -> tuple[float, float]:
    sgd.step()
    return sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]


def agree(found, expected) -> None:
    for (rate, momentum), (their_rate, their_momentum) in zip(found, expected, strict=True):
        assert rate == pytest.approx(their_rate, rel=1e-9, abs=1e-12)
        assert momentum == pytest.approx(their_momentum, rel=1e-9)


def test_cyclic_step_with_its_frozen_tail_as_the_code_of_nuat_makes_it() -> None:
    schedule = KnotSchedule(
        lr=((0, 0), (40, 1), (80, 0.2), (86, 0.2), (86, 0.02), (91, 0.02), (91, 0.002)),
        momentum=((0, 0.9), (40, 0.8), (80, 0.88)),
        unit="epochs",
    )
    sgd = optimizer(0.1)
    cyclic = CyclicLR(sgd, base_lr=0.0, max_lr=0.1, step_size_up=40 * STEPS, step_size_down=50 * STEPS)
    expected = []
    for epoch in range(100):
        for _ in range(STEPS):
            expected.append(stepped(sgd))
            if epoch < 80:
                cyclic.step()
        if epoch in (85, 90):
            sgd.param_groups[0]["lr"] /= 10
    agree(ours(schedule, 0.1, 100), expected)
    assert expected[-1] == pytest.approx((0.0002, 0.88))


def test_triangle_with_moving_momentum() -> None:
    schedule = KnotSchedule(lr=((0, 0), (0.25, 1), (1, 0)), momentum=((0, 0.9), (0.25, 0.8), (1, 0.9)))
    sgd, expected = optimizer(0.1), []
    cyclic = CyclicLR(sgd, base_lr=0.0, max_lr=0.1, step_size_up=10 * STEPS, step_size_down=30 * STEPS)
    for _ in range(40 * STEPS):
        expected.append(stepped(sgd))
        cyclic.step()
    agree(ours(schedule, 0.1, 40), expected)


def test_one_cycle_by_epochs() -> None:
    """Stepped once an epoch, by cosines, as the code of CA-AT does; 40 epochs."""
    schedule = KnotSchedule(
        lr=((0, 1 / 25), (3, 1), (39, 1 / 25 / 1e4)),
        momentum=((0, 0.95), (3, 0.85), (39, 0.95)),
        unit="epochs",
        shape="cosine",
        every="epoch",
    )
    sgd, expected = optimizer(0.4), []
    cycle = OneCycleLR(sgd, max_lr=0.4, pct_start=0.1, total_steps=40)
    for _ in range(40):
        expected += [stepped(sgd)] * STEPS
        if len(expected) < 40 * STEPS:
            cycle.step()
    agree(ours(schedule, 0.4, 40), expected)
