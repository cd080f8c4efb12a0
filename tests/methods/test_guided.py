"""GAT, NuAT and NuAT2 against steps written out: float64, singular values by numpy, closed-form gradients."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from moments import moment
from robustfront import losses
from robustfront.attacks.draws import draw
from robustfront.methods.coefficients import Coefficient
from robustfront.methods.nuat import NuAT2Params
from robustfront.training.average import WeightAverage

EPS, NOISE = 0.06, 0.03
HOW = {
    "threat": {"eps": EPS},
    "attack": {"steps": 1, "step_size": EPS, "start": "sign", "start_std": NOISE, "clip_start": True},
}
TWO = HOW | {"attack": HOW["attack"] | {"steps": 2}}
BATCH_SIZE = 64
"""More than the images there are, as in the last batch of an epoch."""


class Budget:
    class training:
        batch_size = BATCH_SIZE


def with_budget(method):
    method.attach(Budget)
    return method


def seeded():
    return torch.Generator().manual_seed(3)


def distance(name, clean, logits, divisor):
    """D of float64 arrays by numpy, and its gradient by `logits`."""
    if name == "gat":
        p, q = softmax(clean, axis=1), softmax(logits, axis=1)
        towards = 2 * (q - p) / len(p)
        return ((p - q) ** 2).sum(1).mean(), q * (towards - (towards * q).sum(1, keepdims=True))
    u, values, v = np.linalg.svd(clean - logits, full_matrices=False)
    return values.sum() / divisor, -(u @ v) / divisor


def step_on(model, x, y, start, weight, name, clean, divisor):
    """One sign step of the attack, from `start`; dD/dx by a vector-Jacobian product of the closed form."""
    point = start.clone().requires_grad_()
    logits = model(point)
    z = logits.detach().numpy()
    p = softmax(z, axis=1)
    p[np.arange(len(y)), y] -= 1
    by_logits = p / len(y)
    if weight:
        by_logits = by_logits + weight * distance(name, clean, z, divisor)[1]
    (gradient,) = torch.autograd.grad(logits, point, torch.from_numpy(by_logits))
    moved = start + EPS * gradient.sign()
    return torch.minimum(torch.maximum(moved, x - EPS), x + EPS).clamp(0, 1)


def noisy(x):
    signs = 1 - 2 * (draw(torch.rand, x, seeded()) < 0.5).double()
    return (x + NOISE * signs).clamp(0, 1)


@pytest.mark.parametrize("name", ["gat", "nuat"])
@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("reference", ["train", "eval"])
def test_the_single_step_is_that_of_algorithm_1(name, step, reference, model, batch, make) -> None:
    x, y = batch
    twin = deepcopy(model)
    method = with_budget(make(name, **HOW, reference=reference, weight={"knots": [[0, 30]]}))
    found = method.craft(x, y, moment(seeded(), step=step, steps_per_epoch=4))
    twin.train(reference == "train")
    with torch.no_grad():
        clean = twin(x).numpy()
    twin.eval()
    expected = step_on(twin, x, y, noisy(x), 30 * (step % 2), name, clean, BATCH_SIZE)
    assert torch.equal(found, expected)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), twin.buffers(), strict=True)), "statistics"
    assert not model.training


def test_guidance_changes_the_attack(model, batch, make) -> None:
    x, y = batch
    with_it, without = (
        with_budget(make("nuat", **HOW, weight={"knots": [[0, weight]]})).craft(
            x, y, moment(seeded(), step=1, steps_per_epoch=4)
        )
        for weight in (300, 0)
    )
    assert not torch.equal(with_it, without)


@pytest.mark.parametrize("divisor", ["images", "batch-size"])
def test_two_steps_are_guided_and_then_not(divisor, model, batch, make) -> None:
    x, y = batch
    settings = {"attack_divisor": divisor, "weight": {"knots": [[0, 30]]}}
    method = with_budget(make("nuat2", **TWO, **settings))
    found = method.craft(x, y, moment(seeded()))
    model.eval()
    with torch.no_grad():
        clean = model(x).numpy()
    first = step_on(model, x, y, noisy(x), 30, "nuat", clean, len(x) if divisor == "images" else BATCH_SIZE)
    assert torch.equal(found, step_on(model, x, y, first, 0, "nuat", clean, 1))


@pytest.mark.parametrize("epoch", [0, 1])
def test_nuat2_wa_makes_its_first_step_on_the_average(epoch, model, batch, make) -> None:
    x, y = batch
    method = with_budget(make("nuat2", **TWO, guide=0.99, weight={"knots": [[0, 30]]}))
    average = deepcopy(model).eval()
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(0.9)
    at = moment(seeded(), epoch=epoch, epochs=2, averages={"guide": average})
    found = method.craft(x, y, at)
    guide = average if epoch else model
    model.eval()
    with torch.no_grad():
        clean = guide(x).numpy()
    first = step_on(guide, x, y, noisy(x), 30, "nuat", clean, len(x))
    assert torch.equal(found, step_on(model, x, y, first, 0, "nuat", clean, 1))


def test_an_average_is_a_guide_in_eval_mode_alone() -> None:
    with pytest.raises(ValueError, match="reference"):
        NuAT2Params.model_validate(TWO | {"guide": 0.99, "reference": "train"})


@pytest.mark.parametrize("name", ["gat", "nuat"])
@pytest.mark.parametrize("clean_term", ["clean", "adversarial"])
def test_the_loss_is_that_of_the_paper(name, clean_term, model, batch, make) -> None:
    x, y = batch
    x_adv = (x + 0.05 * torch.randn(x.shape, generator=seeded(), dtype=x.dtype)).clamp(0, 1)
    settings = {"weight": {"knots": [[0, 4], [0.5, 4], [0.5, 7]]}, "clean_term": clean_term}
    method = with_budget(make(name, **HOW, **settings))
    twin = deepcopy(model)
    found = method.losses(x, x_adv, y, moment(epoch=3, epochs=6))
    with torch.no_grad():
        adversarial, clean = twin(x_adv).numpy(), twin(x).numpy()
    labelled = clean if clean_term == "clean" else adversarial
    entropy = -log_softmax(labelled, axis=1)[np.arange(len(y)), y].mean()
    far, by_adversarial = distance(name, clean, adversarial, BATCH_SIZE)
    assert found.parts["clean_loss"].item() == pytest.approx(entropy, rel=1e-12)
    assert found.parts["adversarial_loss"].item() == pytest.approx(7 * far, rel=1e-11)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), twin.buffers(), strict=True)), "order"
    # the gradient of the regulariser, with respect to the logits of x' and of x
    views = found.adversarial_logits, found.clean_logits
    gradients = torch.autograd.grad(found.parts["adversarial_loss"], views, retain_graph=True)
    by_clean = distance(name, adversarial, clean, BATCH_SIZE)[1]
    np.testing.assert_allclose(gradients[0].numpy(), 7 * by_adversarial, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradients[1].numpy(), 7 * by_clean, rtol=1e-9, atol=1e-12)


def test_weights_follow_the_epochs_as_the_code_has_them() -> None:
    nuat, gat = Coefficient(knots=((0, 0), (0.9, 4.5))), Coefficient(knots=((0, 10), (0.86, 10), (0.86, 40)))
    by_code, weight = [], 0.0
    for epoch in range(100):  # NuAT_cifar10.py adds after each of the first 90 epochs
        by_code.append(weight)
        weight += 4.5 / 90 if epoch < 90 else 0
    at = [moment(epoch=epoch, epochs=100, step=5, steps_per_epoch=10) for epoch in range(100)]
    assert [nuat.at(each) for each in at] == pytest.approx(by_code, abs=1e-12)
    assert [gat.at(each) for each in at] == [10] * 86 + [40] * 14


def test_a_weight_for_so_many_classes(make) -> None:
    method = make("nuat", **HOW, weight={"knots": [[0, 3]]}, weight_classes=10)
    assert method.weight(moment()) == pytest.approx(3 * 10 / 4)


def test_units_are_the_passes_that_are_made(model, batch, make) -> None:
    x, y = batch
    for name, how, passes in (("nuat", HOW, 1 + 1), ("nuat2", TWO, 1 + 2), ("gat", HOW, 1 + 1)):
        method, seen = with_budget(make(name, **how, weight={"knots": [[0, 3]]})), []
        hook = model.stem.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        x_adv = method.craft(x, y, moment(seeded(), step=1, steps_per_epoch=4))
        assert len(seen) == passes
        model.train()
        method.losses(x, x_adv, y, moment())
        hook.remove()
        assert len(seen) == passes + 2
        assert method.units(method.params) == 1 + 2 * how["attack"]["steps"] + 3 * 2


def test_nuclear_norm_of_what_is_not_finite_is_no_error() -> None:
    logits = torch.zeros(3, 4)
    assert losses.nuclear_norm(logits, logits + float("nan")).isnan()
    assert losses.nuclear_norm(logits.bfloat16(), logits.bfloat16() + 1).item() == pytest.approx(12**0.5)


def test_the_average_that_guides_begins_after_the_first_step(model, make) -> None:
    """As in the code, whose `state_dict()` aliases the weights; statistics are averaged like weights."""
    kind = make("nuat2", **TWO, guide=0.9)
    average = WeightAverage(model, kind.averages(kind.params)["guide"])
    states = []
    for step in range(3):
        with torch.no_grad():
            for value in [*model.parameters(), *model.buffers()]:
                value.add_(step + 1)
        average.update(model, 0, 3, step)
        states.append({name: value.double().clone() for name, value in model.state_dict().items()})
    expected = {
        name: 0.9 * (0.9 * value + 0.1 * states[1][name]) + 0.1 * states[2][name]
        for name, value in states[0].items()
    }
    for name, value in average.model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=0)
