import pytest
import torch
from torch import Tensor

from moments import moment

STEPS, EPS, STEP_SIZE = 5, 0.25, 0.08
ATTACK = {"steps": STEPS, "step_size": STEP_SIZE, "start": "none"}


def by_hand(model, x: Tensor, y: Tensor, eps: Tensor, step_size: Tensor) -> Tensor:
    """PGD on the cross entropy in pixels with a radius and a step per channel, from x; eval mode."""
    model.eval()
    x_adv = x.clone()
    for _ in range(STEPS):
        leaf = x_adv.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(model(leaf), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        x_adv = x_adv + step_size * gradient.sign()
        x_adv = torch.minimum(torch.maximum(x_adv, x - eps), x + eps).clamp(0, 1)
    model.train()
    return x_adv


@pytest.mark.parametrize(
    ("name", "params"), [("pgd_at", {}), ("npgd", {"generator": "pgd", "beta": 1.0})], ids=["pgd_at", "npgd"]
)
@pytest.mark.parametrize("space", ["pixel", "normalised"])
def test_images_are_those_of_a_pixel_ball_scaled_per_channel(name, params, space, model, batch, make) -> None:
    x, y = batch
    x = (x - 0.5) * 1.6 + 0.5  # some pixels near 0 and 1, where the clip counts
    method = make(name, threat={"eps": EPS, "space": space}, attack=ATTACK, **params)
    unit = model.std if space == "normalised" else torch.ones_like(model.std)
    expected = by_hand(model, x, y, EPS * unit, STEP_SIZE * unit)
    x_adv = method.craft(x, y, moment(torch.Generator()))
    torch.testing.assert_close(x_adv, expected, rtol=0, atol=1e-12)
    reach = (x_adv - x).abs().amax(dim=(0, 2, 3))
    torch.testing.assert_close(reach, (EPS * unit).flatten(), rtol=1e-6, atol=0)


def test_spaces_agree_where_every_channel_has_the_same_deviation(model, batch, make) -> None:
    x, y = batch
    model.std.fill_(0.25)
    normalised = make("trades", beta=1.0, threat={"eps": 0.2, "space": "normalised"})
    attack = {"steps": 3, "step_size": 0.01, "start": "gaussian", "start_std": 0.0025}
    pixel = make("trades", beta=1.0, threat={"eps": 0.05, "space": "pixel"}, attack=attack)
    images = [method.craft(x, y, moment(torch.Generator().manual_seed(4))) for method in (normalised, pixel)]
    torch.testing.assert_close(*images, rtol=0, atol=1e-12)
    assert (images[0] - x).abs().max() > 0.02
