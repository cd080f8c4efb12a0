import pytest
import torch

from robustfront.attacks import Ball, pgd
from robustfront.config.schema import Ascent, Threat
from toy_models import Convolutional, random_images

MEAN = torch.tensor([0.5, 0.3, 0.45]).view(1, 3, 1, 1)
STD = torch.tensor([0.25, 0.1, 0.4]).view(1, 3, 1, 1)
FACTORS = torch.tensor([0.1, 0.5, 1.0, 2.5])
KINDS = [(norm, space) for norm in ("linf", "l2") for space in ("pixel", "normalised")]


def ball(norm: str, space: str, eps: float = 0.04) -> Ball:
    return Ball.of(Threat.model_validate({"norm": norm, "eps": eps, "space": space}), MEAN, STD)


@pytest.mark.parametrize(("norm", "space"), KINDS)
@pytest.mark.parametrize("start", ["gaussian", "uniform"])
def test_each_image_of_a_batch_keeps_to_its_own_radius_and_reaches_it(
    norm: str, space: str, start: str
) -> None:
    torch.manual_seed(0)
    model, x, y = Convolutional().eval(), 0.3 + 0.4 * random_images(4, (3, 6, 6)), torch.arange(4)
    scaled = ball(norm, space).scaled(FACTORS)
    ascent = Ascent.model_validate({"steps": 6, "step_size": 0.05, "start": start})
    x_adv = pgd(model, x, y, scaled, ascent, generator=torch.Generator().manual_seed(0))
    assert scaled.contains(x_adv, x).all()
    torch.testing.assert_close(scaled.distance(x_adv, x), 0.04 * FACTORS, rtol=1e-3, atol=1e-6)
    assert scaled.contains(x_adv, x).tolist() != ball(norm, space).contains(x_adv, x).tolist()


@pytest.mark.parametrize(("norm", "space"), KINDS)
def test_a_scaled_ball_acts_on_each_image_as_a_plain_ball_of_that_radius(norm: str, space: str) -> None:
    x, far = random_images(4, (3, 6, 6)), 3 * random_images(4, (3, 6, 6), seed=2) - 1
    scaled = ball(norm, space).scaled(FACTORS)
    ascent = Ascent.model_validate({"steps": 1, "step_size": 0.1, "start": "uniform"})
    starts = scaled.start(x, ascent, torch.Generator().manual_seed(3))
    for i, factor in enumerate(FACTORS.tolist()):
        alone = ball(norm, space, 0.04 * factor)
        torch.testing.assert_close(scaled.project(far, x)[i], alone.project(far, x)[i])
        torch.testing.assert_close(starts[i], alone.start(x, ascent, torch.Generator().manual_seed(3))[i])


def test_factors_of_one_change_nothing() -> None:
    x, far = random_images(4, (3, 6, 6)), 3 * random_images(4, (3, 6, 6), seed=2) - 1
    plain = ball("linf", "normalised")
    assert torch.equal(plain.scaled(torch.ones(4)).project(far, x), plain.project(far, x))
