import copy

import pytest
import torch
from small_trainings import fit, network, same, trainer

from robustfront.config.optimizers.adam import Adam, AdamW
from robustfront.config.optimizers.sgd import SGD
from robustfront.errors import ConfigError, Interrupted
from robustfront.training.loop import Trainer
from robustfront.training.optimizers import optimizer_of

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
    optimizer = optimizer_of(ours, SGD(lr=0.1, **settings))
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
    optimizer = optimizer_of(model, SGD(lr=0.1, weight_decay=0.5, momentum=0.0, decay_norm_and_bias=both))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter, old in zip(model.parameters(), before, strict=True):
        kept = 0.95 if parameter.ndim > 1 or both else 1.0
        torch.testing.assert_close(parameter.detach(), kept * old)
    assert any(p.ndim == 1 and p.abs().sum() > 0 for p in before)


def test_parameters_without_a_gradient_stay() -> None:
    model = network()
    optimizer = optimizer_of(model, SGD(lr=0.1, weight_decay=0.5))
    gradients(model, 0)
    for parameter in model.parameters():
        parameter.grad = None
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"head.weight"}


# ----------------------------------------------------------------------------------------- Adam, and groups
@pytest.mark.parametrize(("kind", "reference"), [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
def test_adam_is_torchs(kind, reference) -> None:
    ours, theirs = network(), network()
    optimizer = optimizer_of(ours, kind(lr=0.01, weight_decay=0.05, momentum=0.8, beta2=0.99, epsilon=1e-6))
    settings = {"lr": 0.01, "weight_decay": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, "foreach": True}
    other = reference(theirs.parameters(), **settings)
    for step, rate in enumerate((0.01, 0.03, 0.001, 0.02)):
        for model in (ours, theirs):
            gradients(model, step)
        optimizer.set_rate(rate, momentum=0.7)
        optimizer.step()
        for group in other.param_groups:
            group["lr"], group["betas"] = rate, (0.7, 0.99)
        other.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_rates_of_groups_are_multiples_and_the_first_pattern_counts() -> None:
    model = network()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    groups = {"head.bias": 0.0, "head.*": 0.1}
    optimizer = optimizer_of(model, SGD(lr=1.0, momentum=0.0, weight_decay=0.0, groups=groups))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.set_rate(0.5)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = {"head.bias": 0.0, "head.weight": 0.1}.get(name, 1.0)
        torch.testing.assert_close(
            before[name] - parameter.detach(), torch.full_like(parameter, 0.5 * factor)
        )


def test_a_pattern_that_fits_nothing_is_a_mistake() -> None:
    with pytest.raises(
        ConfigError,
        match=r"training\.optimizer\.groups: no parameter is called 'haed\.\*' \(known: head\.bias",
    ):
        optimizer_of(network(), SGD(lr=1.0, groups={"haed.*": 0.1}))


def test_momentum_follows_the_schedule_in_a_training() -> None:
    schedule = {"kind": "knots", "lr": [[0, 1]], "momentum": [[0, 0.9], [1, 0.5]]}
    made, seen = trainer("standard", edits={"epochs": 2, "schedule": schedule}), []
    step = made.optimizer.step

    def watch() -> None:
        seen.append({group["momentum"] for group in made.optimizer.param_groups})
        step()

    made.optimizer.step = watch
    history = fit(made).history
    assert [momentum for (momentum,) in seen] == pytest.approx([0.9 - 0.04 * step for step in range(10)])
    assert [row["momentum"] for row in history[1:]] == pytest.approx([0.74, 0.54])


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_adam_resumes_exactly(kind) -> None:
    def make() -> Trainer:
        return trainer("standard", edits={"epochs": 2, "optimizer": {"kind": kind, "lr": 0.01}})

    stopped, kept = make(), []
    with pytest.raises(Interrupted):
        fit(stopped, save=kept.append, stop_requested=lambda: stopped.steps_done == 3)
    resumed = make()
    resumed.restore(copy.deepcopy(kept[-1]))
    assert same(fit(resumed).weights, fit(make()).weights)
