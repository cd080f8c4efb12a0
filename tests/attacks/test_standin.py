"""Which network an attack runs on."""

import copy
import gc

import pytest
import torch

from robustfront import attacks
from robustfront.attacks import Ball, standin
from robustfront.config import schema
from robustfront.models import Classifier, build
from toy_models import Convolutional, random_images

NORMALISATION = schema.Normalisation(mean=(0.5, 0.4, 0.45), std=(0.25, 0.2, 0.4))
ASCENT = schema.Ascent(steps=3, step_size=0.02)


def network() -> Classifier:
    torch.manual_seed(0)
    config = schema.PreActResNet(depth=10, width=4)
    return build(config, channels=3, classes=4, normalisation=NORMALISATION).eval()


X = random_images(6, (3, 8, 8))
Y = torch.arange(6) % 4


def test_float32_and_train_mode_attack_the_network_itself() -> None:
    model = network()
    assert attacks.stand_in(model, X) is model
    with torch.autocast("cpu", torch.bfloat16):
        assert attacks.stand_in(model.train(), X) is model
        other = Convolutional().eval()
        assert attacks.stand_in(other, X) is other


def test_one_copy_follows_the_weights() -> None:
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        first = attacks.stand_in(model, X)
        assert first is not model
        before = first(X)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)
        assert attacks.stand_in(model, X) is first
        torch.testing.assert_close(first(X), model(X), rtol=0.05, atol=0.05)
        assert not torch.allclose(first(X), before)
        assert attacks.stand_in(copy.deepcopy(model), X) is not first


def test_copies_go_with_their_networks() -> None:
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        attacks.stand_in(model, X)
    assert model in standin._copies
    held = len(standin._copies)
    del model
    gc.collect()
    assert len(standin._copies) < held


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attack_on_the_stand_in_is_as_strong_and_leaves_the_network_alone(norm: str) -> None:
    model = network()
    ball = Ball.of(schema.Threat(norm=norm, eps=0.05 if norm == "linf" else 0.5), model.mean, model.std)
    plain = attacks.pgd(model, X, Y, ball, ASCENT, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        attacked = attacks.stand_in(model, X)
        found = attacks.pgd(attacked, X, Y, ball, ASCENT, generator=torch.Generator().manual_seed(0))
    assert ball.contains(found, X).all()
    loss = [attacks.objectives.ce(model(x), Y).mean().item() for x in (X, plain, found)]
    assert loss[2] - loss[0] > 0.95 * (loss[1] - loss[0]) > 0
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
