import pytest
import torch
from small_trainings import network

from robustfront.config import schema
from robustfront.training.sgd import SGD

CASES = [
    {"momentum": momentum, "nesterov": nesterov, "weight_decay": decay, "decay_norm_and_bias": both}
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True))
    for decay, both in ((0.0, True), (0.05, True), (0.05, False))
]


def gradients(model: torch.nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_weights_are_those_of_torchs_optimiser(settings) -> None:
    ours, theirs = network(), network()
    optimizer = SGD(ours, schema.SGD(lr=0.1, **settings))
    decay = {1: settings["weight_decay"] if settings["decay_norm_and_bias"] else 0.0}
    reference = torch.optim.SGD(
        [
            {"params": [p], "weight_decay": decay.get(p.ndim, settings["weight_decay"])}
            for p in theirs.parameters()
        ],
        lr=0.1,
        momentum=settings["momentum"],
        nesterov=settings["nesterov"],
        foreach=True,
    )
    for step, rate in enumerate((0.1, 0.3, 0.01, 0.2)):
        for model in (ours, theirs):
            gradients(model, step)
        optimizer.set_rate(rate)
        optimizer.step()
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("both", [True, False])
def test_weight_decay_alone_shrinks_what_it_should(both) -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = SGD(model, schema.SGD(lr=0.1, weight_decay=0.5, momentum=0.0, decay_norm_and_bias=both))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter, old in zip(model.parameters(), before, strict=True):
        kept = 0.95 if parameter.ndim > 1 or both else 1.0
        torch.testing.assert_close(parameter.detach(), kept * old)
    assert any(p.ndim == 1 and p.abs().sum() > 0 for p in before)


def test_parameters_without_a_gradient_stay() -> None:
    model = network()
    optimizer = SGD(model, schema.SGD(lr=0.1, weight_decay=0.5))
    gradients(model, 0)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"head.weight"}
