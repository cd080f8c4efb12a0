import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from robustfront.config.schedules import Position
from robustfront.config.schema import Schedule


def rates(schedule: dict, steps: int, peak: float = 0.3, epoch: int = 1) -> list[float]:
    parsed = TypeAdapter(Schedule).validate_python(schedule)
    return [parsed.rate_at(peak, Position(step, steps, epoch)) for step in range(steps)]


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


# ---------------------------------------------------------------------------------------- knots and momentum
def momenta(schedule: dict, steps: int, epoch: int = 1) -> list[float | None]:
    parsed = TypeAdapter(Schedule).validate_python(schedule)
    return [parsed.momentum_at(Position(step, steps, epoch)) for step in range(steps)]


def test_triangle_in_epochs_is_torchs_cyclic_schedule_with_its_momentum() -> None:
    ours = {
        "kind": "knots",
        "unit": "epochs",
        "lr": [[0, 0], [2, 1], [5, 0]],
        "momentum": [[0, 0.9], [2, 0.8], [5, 0.9]],
    }
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3, momentum=0.9)
    settings = {"base_lr": 0, "max_lr": 0.3, "step_size_up": 20, "step_size_down": 30}
    scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, **settings)
    theirs = []
    for _ in range(50):
        theirs.append([optimizer.param_groups[0][key] for key in ("lr", "momentum")])
        optimizer.step()
        scheduler.step()
    assert rates(ours, 50, epoch=10) == pytest.approx([lr for lr, _ in theirs], abs=1e-12)
    assert momenta(ours, 50, epoch=10) == pytest.approx([momentum for _, momentum in theirs], rel=1e-12)


def test_knots_with_cosines_are_torchs_one_cycle() -> None:
    ours = {
        "kind": "knots",
        "unit": "epochs",
        "shape": "cosine",
        "lr": [[0, 1 / 25], [4, 1], [19, 1 / 25e4]],
        "momentum": [[0, 0.95], [4, 0.85], [19, 0.95]],
        "every": "epoch",
    }
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=20, pct_start=0.25)
    for epoch, (rate, momentum) in enumerate(
        zip(rates(ours, 60, epoch=3)[::3], momenta(ours, 60, epoch=3)[::3], strict=True)
    ):
        group = optimizer.param_groups[0]
        assert (rate, momentum) == pytest.approx((group["lr"], group["momentum"]), rel=1e-9), epoch
        optimizer.step()
        if epoch < 19:
            scheduler.step()


def test_cyclic_step_rises_falls_stands_still_and_is_cut_twice() -> None:
    nuat = [[0, 0], [40, 1], [80, 0.2], [85, 0.2], [85, 0.02], [90, 0.02], [90, 0.002]]
    found = rates({"kind": "knots", "unit": "epochs", "lr": nuat}, 200, peak=0.1, epoch=2)
    assert found[::2][:41] == pytest.approx([0.1 * epoch / 40 for epoch in range(41)])
    assert found[::2][40:81] == pytest.approx([0.1 * (1 - epoch / 50) for epoch in range(41)])
    assert found[160:170] == pytest.approx([0.02] * 10)
    assert found[170:180] == pytest.approx([0.002] * 10)
    assert found[180:] == pytest.approx([0.0002] * 20)


@pytest.mark.parametrize("kind", ["cosine", "one-cycle"])
def test_rates_of_an_epoch_may_be_those_of_its_first_step(kind) -> None:
    by_step, by_epoch = (
        rates({"kind": kind, "warmup": 0.2, "every": every}, 40, epoch=4) for every in ("step", "epoch")
    )
    assert by_epoch == [by_step[step - step % 4] for step in range(40)]


def test_one_cycle_moves_momentum_against_the_rate_where_asked_to() -> None:
    cycle = {"kind": "one-cycle", "warmup": 0.25}
    assert momenta(cycle, 40) == [None] * 40
    found = momenta(cycle | {"momentum": [0.95, 0.85]}, 40)
    assert found[:11] == pytest.approx([0.95 - 0.01 * step for step in range(11)])
    assert found[10:] == pytest.approx([0.85 + 0.1 * step / 30 for step in range(30)])


def test_milestones_in_epochs_after_a_warm_up() -> None:
    steps = {"kind": "step", "unit": "epochs", "milestones": [5, 8], "warmup": 2}
    found = rates(steps, 40, epoch=4)
    assert found[:8] == pytest.approx([0.3 * (step + 1) / 9 for step in range(8)])
    assert found[8:20] == [0.3] * 12
    assert found[20:32] == pytest.approx([0.03] * 12)
    assert found[32:] == pytest.approx([0.003] * 8)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ({"kind": "step", "milestones": [50]}, "write `unit: epochs`"),
        ({"kind": "knots", "lr": [[0, 0], [5, 1]]}, "write `unit: epochs`"),
        ({"kind": "knots", "lr": [[0.5, 0], [0.2, 1]]}, "must not decrease"),
        ({"kind": "knots", "lr": []}, "at least 1 item"),
    ],
)
def test_what_cannot_be_meant_is_refused(schedule, complaint) -> None:
    with pytest.raises(ValidationError, match=complaint):
        rates(schedule, 10)
