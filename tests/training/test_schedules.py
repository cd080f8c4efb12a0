import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from robustfront.config.schema import Schedule
from robustfront.training.schedules import learning_rate


def rates(schedule: dict, steps: int, peak: float = 0.3) -> list[float]:
    parsed = TypeAdapter(Schedule).validate_python(schedule)
    return [learning_rate(parsed, peak, step, steps) for step in range(steps)]


def torch_rates(kind: type, steps: int, **settings: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = kind(optimizer, **settings)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant() -> None:
    assert rates({"kind": "constant"}, 7) == [0.3] * 7


def test_step_is_torchs_multistep() -> None:
    ours = rates({"kind": "step", "milestones": [0.5, 0.75], "factor": 0.2}, 40)
    theirs = torch_rates(torch.optim.lr_scheduler.MultiStepLR, 40, milestones=[20, 30], gamma=0.2)
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert (ours[19], ours[20], ours[30]) == pytest.approx((0.3, 0.06, 0.012))


def test_cosine_is_torchs() -> None:
    ours = rates({"kind": "cosine"}, 40)
    theirs = torch_rates(torch.optim.lr_scheduler.CosineAnnealingLR, 40, T_max=40)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_fall_of_one_cycle_is_torchs_linear() -> None:
    ours = rates({"kind": "one-cycle", "warmup": 0.2}, 50)
    settings = {"start_factor": 1.0, "end_factor": 1e-12, "total_iters": 40}
    assert ours[10:] == pytest.approx(
        torch_rates(torch.optim.lr_scheduler.LinearLR, 40, **settings), rel=1e-9
    )


@pytest.mark.parametrize("kind", ["cosine", "one-cycle"])
def test_warmup_rises_to_the_peak_in_equal_parts(kind) -> None:
    found = rates({"kind": kind, "warmup": 0.3}, 30)
    assert found[:9] == pytest.approx([0.3 * k / 10 for k in range(1, 10)])
    assert found[9] == 0.3


@given(
    warmup=st.floats(0.01, 0.99),
    steps=st.integers(2, 400),
    kind=st.sampled_from(["cosine", "one-cycle"]),
)
def test_rates_rise_then_fall_and_stay_between_zero_and_the_peak(warmup, steps, kind) -> None:
    found = rates({"kind": kind, "warmup": warmup}, steps)
    rising = sum(step / steps < warmup for step in range(steps))
    assert all(0 < rate <= 0.3 for rate in found)
    assert found[:rising] == sorted(found[:rising])
    assert found[rising:] == sorted(found[rising:], reverse=True)


def test_closed_forms() -> None:
    cosine, cycle = (
        rates({"kind": "cosine", "warmup": 0.2}, 10),
        rates({"kind": "one-cycle", "warmup": 0.2}, 10),
    )
    for step in range(2, 10):
        share = (step - 2) / 8
        assert cosine[step] == pytest.approx(0.15 * (1 + math.cos(math.pi * share)), rel=1e-12)
        assert cycle[step] == pytest.approx(0.3 * (1 - share), rel=1e-12)
