"""GAMA-PGD against a loop written out in float64 after the authors' description, image by image."""

import pytest
import torch
from pydantic import ValidationError

from evaluation.test_kinds_of_attacks import ball_of, classified, crafted, curved, fell
from robustfront.attacks.draws import ByPosition, draw
from robustfront.config.attacks.gama import GAMAEvaluation

EPS = 0.03


def written_out(model, x, y, *, steps, size, drops, weight, weight_steps, restart=0):
    """The loss summed as the authors sum it: the mean over the batch of margin and regulariser."""
    generator = ByPosition(0, torch.arange(len(x)))
    for _ in range(restart):
        draw(torch.rand, x, generator)
    delta = EPS * torch.where(draw(torch.rand, x, generator) < 0.5, -1.0, 1.0).to(x)
    with torch.no_grad():
        reference = model(x + delta).softmax(1)
    left = weight
    for step in range(steps):
        if step in drops:
            size = size / 10
        point = (x + delta).requires_grad_()
        q = model(point).softmax(1)
        others = q - 1000 * torch.eye(q.shape[1], dtype=q.dtype)[y]
        rows = torch.arange(len(y))
        loss = (q[rows, others.argmax(1)] - q[rows, y]).mean()
        if step <= weight_steps:
            loss = loss + left * ((reference - q) ** 2).sum(1).mean(0)
            left -= weight / weight_steps
        (gradient,) = torch.autograd.grad(loss, point)
        moved = (point.detach() + size * gradient.sign()).clamp(0, 1)
        delta = (moved - x).clamp(-EPS, EPS)
    return x + delta


@pytest.mark.parametrize("classes", [3, 6, 12])
def test_points_and_fallen_images_are_those_of_the_loop(classes) -> None:
    model = curved(classes).double()
    x, y = classified(model, 40)
    loop = {"steps": 20, "size": 2 * EPS, "drops": (12, 17), "weight": 50.0, "weight_steps": 5}
    settings = {"kind": "gama", "steps": 20, "step_size": 2 * EPS, "drops": [12, 17], "weight_steps": 5}
    ball = ball_of(model, EPS)
    expected = written_out(model, x, y, **loop)
    found = crafted(settings, model, x, y, ball, batch=16)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert 0 < fell(model, found, y).sum() < 40
    twice = crafted(settings | {"restarts": 2}, model, x, y, ball, batch=16)
    again = fell(model, written_out(model, x, y, restart=1, **loop), y)
    assert torch.equal(fell(model, twice, y), fell(model, expected, y) | again)


def test_the_guide_changes_where_it_gets() -> None:
    model = curved().double()
    x, y = classified(model, 20)
    settings = {"kind": "gama", "steps": 6, "step_size": EPS, "drops": [4], "weight_steps": 5}
    ball = ball_of(model, EPS)
    guided, plain = (crafted(settings | {"weight": w}, model, x, y, ball) for w in (50.0, 0.0))
    assert not torch.equal(guided, plain)


@pytest.mark.parametrize("drops", [[60, 60], [85, 60], [100]])
def test_drops_are_steps_in_order(drops) -> None:
    with pytest.raises(ValidationError, match="drops"):
        GAMAEvaluation.model_validate({"step_size": 0.1, "drops": drops})
