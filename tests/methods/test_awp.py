"""AWP against Algorithm 1 of Wu et al. 2020 written out with a second network, in float64."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from moments import moment
from robustfront.config.schema import Training
from robustfront.training.optimizers import optimizer_of

ATTACK = {"steps": 2, "step_size": 0.03, "start": "none"}
SETTINGS = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.3}


def loss_of(name, network, x, x_adv, y):
    if name == "awp":
        return cross_entropy(network(x_adv), y)
    clean, adversarial = network(x), network(x_adv)
    apart = kl_div(adversarial.log_softmax(1), clean.softmax(1), reduction="batchmean")
    return cross_entropy(clean, y) + 6 * apart


def trained(name, make, model, **params):
    training = Training.model_validate(
        {"epochs": 20, "batch_size": 4, "optimizer": SETTINGS, "schedule": {"kind": "constant"}}
    )
    method = make(name, attack=ATTACK, threat={"eps": 0.05}, **params)
    optimizer = optimizer_of(model, training.optimizer)
    method.attach(SimpleNamespace(optimizer=optimizer, training=training))
    return method, optimizer


@pytest.mark.parametrize("name", ["awp", "trades_awp"])
def test_a_step_is_that_of_the_authors(name, model, batch, make) -> None:
    x, y = batch
    twin, proxy = deepcopy(model), deepcopy(model)
    method, optimizer = trained(name, make, model, gamma=0.05)
    x_adv = deepcopy(method).craft(x, y, moment(torch.Generator().manual_seed(0)))
    method.gradients(x, y, moment(torch.Generator().manual_seed(0), epoch=1, epochs=20))
    optimizer.step()

    ascent = torch.optim.SGD(proxy.parameters(), lr=0.01)
    (-loss_of(name, proxy, x, x_adv, y)).backward()
    ascent.step()
    deltas = {}
    for (key, new), old in zip(proxy.named_parameters(), twin.parameters(), strict=True):
        if new.ndim > 1:
            way = (new - old).detach()
            deltas[key] = 0.05 * way * old.detach().norm() / (way.norm() + 1e-20)
    weights = dict(twin.named_parameters())
    with torch.no_grad():
        for key, delta in deltas.items():
            weights[key].add_(delta)
    descent = torch.optim.SGD(twin.parameters(), lr=0.1, weight_decay=0.3)
    loss_of(name, twin, x, x_adv, y).backward()
    descent.step()
    with torch.no_grad():
        for key, delta in deltas.items():
            weights[key].sub_(delta)
    for key, value in twin.state_dict().items():  # statistics as well: the ascent moves none
        torch.testing.assert_close(model.state_dict()[key], value, rtol=1e-9, atol=1e-11)


def test_nothing_is_perturbed_while_it_warms_up(model, batch, make) -> None:
    x, y = batch
    twin = deepcopy(model)
    method, _ = trained("trades_awp", make, model, warmup=0.1)
    x_adv = deepcopy(method).craft(x, y, moment(torch.Generator().manual_seed(0)))
    method.gradients(x, y, moment(torch.Generator().manual_seed(0), epoch=1, epochs=20))
    loss_of("trades", twin, x, x_adv, y).backward()
    for parameter, expected in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-9, atol=1e-12)
