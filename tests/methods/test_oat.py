"""Once-for-all training and PGD-AT of one lambda: what is drawn, and whole steps written out in float64."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from moments import moment
from robustfront.attacks.draws import PartGenerator
from robustfront.config.images import Normalisation
from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.errors import ConfigError
from robustfront.methods import methods
from robustfront.methods.base import Method, Setting
from robustfront.methods.oat import OnceForAll
from robustfront.models import Classifier, build

EPS = 0.1
PGD = {"threat": {"eps": EPS}, "attack": {"steps": 7, "step_size": 0.02, "clip_start": True}}
VALUES = (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)
COUNT = 7


def network(film: dict[str, Any] | None) -> Classifier:
    torch.manual_seed(0)
    config = FilmResNet.model_validate({"depth": 10, "width": 2, "film": film})
    normalisation = Normalisation(mean=(0.0,), std=(1.0,))
    return build(config, channels=1, classes=3, normalisation=normalisation).double()


def made(name: str, model: Classifier, **params: Any) -> Method:
    kind = methods[name].method
    return kind(kind.Params.model_validate(PGD | params), Setting(model))


def generator(seed: int = 0, count: int = COUNT) -> PartGenerator:
    found = PartGenerator().take(slice(0, count), count)
    found.manual_seed(seed)
    return found


def images() -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(3)
    x = torch.rand(COUNT, 1, 8, 8, generator=drawn, dtype=torch.float64)
    return x, torch.randint(3, (COUNT,), generator=drawn)


def lambdas(count: int, seed: int = 0, **params: Any) -> Tensor:
    method = made("oat", network({"width": 8}), **params)
    return method.condition(torch.zeros(count), moment(generator(seed, count)))


# --------------------------------------------------------------------------------------------- what is drawn
@pytest.mark.parametrize(("count", "zeros"), [(128, 22), (12, 2), (7, 2), (6, 1), (1, 1)])
def test_the_first_sixth_rounded_up_is_zero_and_the_others_are_not(count: int, zeros: int) -> None:
    found = lambdas(count)
    assert not found[:zeros].any()
    assert (found[zeros:] > 0).all()


def test_the_others_are_drawn_alike_from_the_rest_of_the_values() -> None:
    others = torch.cat([lambdas(120, seed)[20:] for seed in range(50)])
    values, counts = others.unique(return_counts=True)
    torch.testing.assert_close(values, torch.tensor(VALUES[1:]).double())
    assert counts.min() > 0.8 * 1000  # five standard deviations of 5000 draws are 14 %
    assert counts.max() < 1.2 * 1000
    assert not torch.equal(lambdas(120, 0), lambdas(120, 1))


def test_a_device_gets_its_rows_of_what_is_drawn_for_the_whole_batch() -> None:
    whole, method = lambdas(12), made("oat", network({"width": 8}))
    for rows in (slice(0, 5), slice(5, 12)):
        source = generator(0, 12).take(rows, 12)
        assert torch.equal(method.condition(torch.zeros(len(whole[rows])), moment(source)), whole[rows])


def test_one_lambda_for_the_whole_batch() -> None:
    found = [lambdas(9, seed, sampling="batch") for seed in range(200)]
    assert all(len(each.unique()) == 1 for each in found)
    assert {round(float(each[0]), 6) for each in found} == set(VALUES)


def test_values_without_zero_force_none_and_zero_alone_is_all() -> None:
    assert (lambdas(12, lambdas=[0.5, 1.0]) > 0).all()
    assert not lambdas(12, lambdas=[0.0]).any()


# ---------------------------------------------------------------------------------------- steps, written out
def ascent(model: Classifier, told: Tensor | None, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
    """PGD-7 with a uniform start clipped to [0, 1], in eval mode."""
    model.eval()
    x_adv = (x + EPS * (2 * noise - 1)).clamp(0, 1)
    for _ in range(7):
        x_adv = x_adv.detach().requires_grad_()
        network = model if told is None else model.given(told)
        (gradient,) = torch.autograd.grad(cross_entropy(network(x_adv), y, reduction="sum"), x_adv)
        x_adv = x_adv.detach() + 0.02 * gradient.sign()
        x_adv = torch.minimum(torch.maximum(x_adv, x - EPS), x + EPS).clamp(0, 1)
    model.train()
    return x_adv


def same_step(model: Classifier, reference: Classifier) -> None:
    for (name, ours), theirs in zip(model.named_parameters(), reference.parameters(), strict=True):
        expected = torch.zeros_like(ours) if theirs.grad is None else theirs.grad
        found = torch.zeros_like(ours) if ours.grad is None else ours.grad
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, msg=name)
    for (name, ours), theirs in zip(model.named_buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_step_of_oat(dual: bool, shuffled: bool) -> None:
    """Clean pass, PGD-7 on the images with lambda > 0 told their own, pass on x', one backward pass."""
    model = network({"width": 8, "dual_norm": dual})
    x, y = images()
    told = torch.tensor([0.0, 0.0, 0.4, 1.0, 0.1, 0.3, 0.2], dtype=torch.float64)
    if shuffled:
        told = told[torch.tensor([2, 0, 3, 1, 6, 5, 4])]
    reference, others = copy.deepcopy(model), told > 0
    noise = torch.rand(x.shape, generator=generator(), dtype=torch.float64)[others]

    clean = cross_entropy(reference.given(told)(x), y, reduction="none")
    x_adv = ascent(reference, told[others], x[others], y[others], noise)
    adversarial = cross_entropy(reference.given(told[others])(x_adv), y[others], reduction="none")
    reference.zero_grad()
    loss = (((1 - told) * clean).sum() + (told[others] * adversarial).sum()) / COUNT
    loss.backward()

    found = made("oat", model).gradients(x, y, moment(generator(), condition=told))
    torch.testing.assert_close(found.total, loss.detach(), rtol=1e-12, atol=1e-12, check_stride=False)
    same_step(model, reference)


def test_a_batch_of_zeros_is_not_attacked() -> None:
    model = network({"width": 8})
    x, y = images()
    told = torch.zeros(COUNT, dtype=torch.float64)
    reference = copy.deepcopy(model)
    cross_entropy(reference.given(0.0)(x), y).backward()
    found = made("oat", model, sampling="batch").gradients(x, y, moment(generator(), condition=told))
    assert found.parts["adversarial_loss"] == 0
    same_step(model, reference)


def test_a_device_without_an_image_to_attack_says_so() -> None:
    x, y = images()
    told = torch.zeros(COUNT, dtype=torch.float64)
    with pytest.raises(ConfigError, match="use fewer devices"):
        made("oat", network({"width": 8})).gradients(x, y, moment(generator(), condition=told))


def test_parts_of_a_batch_are_attacked_as_the_whole_is() -> None:
    model, (x, y) = network({"width": 8, "dual_norm": True}), images()
    told = torch.tensor([0.0, 0.4, 1.0, 0.0, 0.1, 0.0, 0.2], dtype=torch.float64)
    method = made("oat", model)
    whole = method.craft(x, y, moment(generator(), condition=told))
    parts = []
    for rows in (slice(0, 1), slice(1, 4), slice(4, 7)):
        source = generator().take(rows, COUNT)
        parts.append(method.craft(x[rows], y[rows], moment(source, condition=told[rows])))
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-12)
    assert model.training


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_step_of_one_lambda(weight: float) -> None:
    """As in the public code the attacked images pass first; at lambda = 0 there are none."""
    model, (x, y) = network(None), images()
    reference = copy.deepcopy(model)
    noise = torch.rand(x.shape, generator=generator(), dtype=torch.float64)
    loss = torch.zeros((), dtype=torch.float64)
    if weight:
        x_adv = ascent(reference, None, x, y, noise)
        loss = weight * cross_entropy(reference(x_adv), y)
    loss = loss + (1 - weight) * cross_entropy(reference(x), y)
    reference.zero_grad()
    loss.backward()
    found = made("mixed_at", model, weight=weight).gradients(x, y, moment(generator()))
    torch.testing.assert_close(found.total, loss.detach(), rtol=1e-12, atol=1e-12)
    same_step(model, reference)


def test_a_network_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(ConfigError, match="use a conditional one"):
        made("oat", network(None))


def test_what_a_step_costs_in_forward_passes() -> None:
    """Clean forward and backward 3, an attack step 2, a pass on x' 3; five of six images are attacked."""
    oat, mixed = methods["oat"].method, methods["mixed_at"].method
    params = OnceForAll.Params.model_validate(PGD)
    assert oat.units(params) == pytest.approx(3 + 5 / 6 * (14 + 3))
    units = {w: mixed.units(mixed.Params.model_validate(PGD | {"weight": w})) for w in (0.0, 0.3, 1.0)}
    assert units == {0.0: 3, 0.3: 20, 1.0: 20}
