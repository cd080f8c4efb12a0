"""Free, R-MGM, FBF and the hybrids against steps written out, in float64 where they are compared."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from methods.tiny_training import TRAINING, network, store, trainer
from moments import moment
from robustfront.config import schema
from robustfront.config.images import CropFlip
from robustfront.errors import Interrupted
from robustfront.methods import methods
from robustfront.methods.base import Setting
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.loop import Trainer, Watcher

ONE_STEP = {"steps": 1, "step_size": 0.05, "start": "none"}


def made(name, model, **params):
    kind = methods[name].method
    return kind(kind.Params.model_validate({"threat": {"eps": 0.05}} | params), Setting(model))


def tiny(name, *, training=None, **params):
    """As `tiny_training.trainer`, of methods that have no `attack`."""
    model = network()
    return Trainer(
        "tiny",
        model=model,
        method=made(name, model, **params),
        store=store(),
        training=schema.Training.model_validate(TRAINING | (training or {})),
        augmentation=CropFlip(pad=0),
        seed=0,
    )


def fit(made, **watching):
    return made.fit(Watcher(**({"save": lambda state: None} | watching)))


# --------------------------------------------------------------------------------------------------- Free
def test_free_is_the_loop_of_its_algorithm(model, batch) -> None:
    x, y = batch
    twin = deepcopy(model)
    method = made("free", model, step_size=0.03, replay=3)
    images = SimpleNamespace(images=torch.zeros(9, *x.shape[1:]))
    method.attach(SimpleNamespace(train=images, training=SimpleNamespace(batch_size=len(x))))
    batches = [(x, y), (x.flip(0)[:4], y.flip(0)[:4])]  # the last one is short
    ours = torch.optim.SGD(model.parameters(), lr=0.1)
    for images_of, labels in batches:
        for replay in range(3):
            ours.zero_grad()
            method.gradients(images_of, labels, moment(replay=replay))
            ours.step()
    delta, theirs = torch.zeros_like(x), torch.optim.SGD(twin.parameters(), lr=0.1)
    for images_of, labels in batches:
        size = len(labels)
        for _ in range(3):
            noise = delta[:size].clone().requires_grad_()
            theirs.zero_grad()
            cross_entropy(twin((images_of + noise).clamp(0, 1)), labels).backward()
            theirs.step()
            delta[:size] = (noise.detach() + 0.03 * noise.grad.sign()).clamp(-0.05, 0.05)
    assert delta.abs().max() == 0.05
    torch.testing.assert_close(method.delta, delta, rtol=0, atol=1e-12)
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-10, atol=1e-10)


def test_free_makes_m_steps_on_each_batch() -> None:
    trained = tiny("free", step_size=0.05, replay=4)
    assert trained.steps_per_epoch == 4 * 5
    assert len(fit(trained).history) == 3


# -------------------------------------------------------------------------------------------------- R-MGM
def test_r_mgm_pulls_the_last_image_to_its_multi_step_attack(model, batch) -> None:
    x, y = batch
    twin = deepcopy(model).eval()
    method = made("r_mgm", model, attack=ONE_STEP, weight=0.7)
    x_adv = method.craft(x, y, moment())
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(twin(point), y), point)
    torch.testing.assert_close(x_adv[:-1], x + 0.05 * gradient.sign(), rtol=0, atol=1e-12)
    probe = x[-1:]
    for _ in range(3):
        point = probe.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(twin(point), y[-1:]), point)
        probe = probe + 0.05 / 3 * gradient.sign()
    torch.testing.assert_close(x_adv[-1:], probe, rtol=0, atol=1e-12)
    model.train()
    found = method.losses(x, x_adv, y, moment())
    twin.train()
    logits = twin(x_adv)
    expected = cross_entropy(logits[:-1], y) + 0.7 * (logits[-2] - logits[-1]).square().sum()
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-12)


# ---------------------------------------------------------------------------------------------------- FBF
def collapsing(**params):
    """The probe's accuracies are scripted: that of the third epoch has fallen by 0.3."""
    trained = trainer(
        "fbf", attack={"steps": 1, "step_size": 0.05}, training={"epochs": 5}, attack_mode="train", **params
    )
    return trained


@pytest.mark.parametrize("drop", [0.2, 1.0, None])
def test_fbf_ends_before_the_epoch_of_the_collapse(drop, monkeypatch) -> None:
    trained, ends = collapsing(largest_drop=drop), []
    method, end_epoch = trained.method, trained.method.end_epoch

    def collapse_in_the_third(at):
        if at.epoch == 2:
            method.first["y"] = (method.first["y"] + 1) % 4  # every answer is wrong there
        end_epoch(at)
        ends.append({name: value.clone() for name, value in trained.model.state_dict().items()})

    monkeypatch.setattr(method, "end_epoch", collapse_in_the_third)
    outcome = fit(trained)
    if drop == 0.2:
        assert [row["epoch"] for row in outcome.history] == [0, 1, 2, 3]
        assert outcome.selected_epoch == 3
        assert all(torch.equal(value, ends[1][name]) for name, value in outcome.weights.items())
    else:
        assert len(outcome.history) == 6


def test_fbf_stops_where_it_was_killed_and_resumed(tmp_path) -> None:
    undisturbed = fit(collapsing())
    path, stopped = tmp_path / "checkpoint.safetensors", collapsing()
    with pytest.raises(Interrupted):
        fit(stopped, save=lambda state: state.save(path), stop_requested=lambda: stopped.steps_done == 12)
    resumed = collapsing()
    resumed.restore(Checkpoint.load(path, "tiny"))
    outcome = fit(resumed)
    assert all(torch.equal(value, outcome.weights[name]) for name, value in undisturbed.weights.items())


# ------------------------------------------------------------------------------------------------ hybrids
SIGN = {"steps": 1, "step_size": 0.05, "start": "sign", "start_std": 0.02, "clip_start": True}


def test_a_hybrid_makes_two_steps_while_the_clean_loss_has_dropped(model, batch) -> None:
    x, y = batch
    weight = {"knots": [[0, 3]]}
    hybrid = made("nuat_h", model, attack=SIGN, weight=weight, drop_ratio=0.8, window=2)
    one = made("nuat", deepcopy(model), attack=SIGN, weight=weight)
    two = made("nuat2", deepcopy(model), attack=SIGN | {"steps": 2}, weight=weight)
    for each in (hybrid, one, two):
        each.attach(SimpleNamespace(training=SimpleNamespace(batch_size=64)))
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def crafted(method, step):
        method.model.load_state_dict(start)
        method.model.train()
        at = moment(torch.Generator().manual_seed(1), step=step, steps_per_epoch=4)
        return method.craft(x, y, at)

    assert torch.equal(crafted(hybrid, 1), crafted(one, 1)), "in the first epoch nothing can drop"
    hybrid.seen[:2] = torch.tensor([4.0, 4.0])  # a mean clean loss of 1
    assert hybrid.diagnostics(moment()) == {"two_step_share": 0.0}
    for latest, drops in (([0.9, 0.75], False), ([0.8, 0.75], True), ([0.2, 1.3], True)):
        hybrid.latest = torch.tensor(latest, dtype=torch.float64)
        assert hybrid.has_dropped() == drops
        assert torch.equal(crafted(hybrid, 1), crafted(two if drops else one, 1))
    assert not torch.equal(crafted(one, 1), crafted(two, 1))
    model.train()
    hybrid.losses(x, x, y, moment())
    assert hybrid.latest[0] == pytest.approx(1.3)
    model.load_state_dict(start)
    assert hybrid.latest[1].item() == pytest.approx(cross_entropy(_trained_twice(model, x), y).item())


def _trained_twice(model, x):
    model.train()
    return model(x)


def test_the_share_of_two_step_batches_is_logged_and_survives_a_resume(tmp_path) -> None:
    def hybrid():
        how = {"drop_ratio": 0.999, "weight": {"knots": [[0, 1]]}}
        return trainer("nuat_h", attack=SIGN, training={"epochs": 3}, **how)

    undisturbed = fit(hybrid())
    shares = [row["two_step_share"] for row in undisturbed.history[1:]]
    assert shares[0] == 0
    assert sum(shares) > 0
    path, stopped = tmp_path / "checkpoint.safetensors", hybrid()
    with pytest.raises(Interrupted):
        fit(stopped, save=lambda state: state.save(path), stop_requested=lambda: stopped.steps_done == 8)
    resumed = hybrid()
    resumed.restore(Checkpoint.load(path, "tiny"))
    outcome = fit(resumed)
    assert [row["two_step_share"] for row in outcome.history[1:]] == shares
    assert all(torch.equal(value, outcome.weights[name]) for name, value in undisturbed.weights.items())


# ------------------------------------------------------------------------------------------------- resume
WEIGHT = {"weight": {"knots": [[0, 1]]}}
CASES = {
    "free": {"step_size": 0.05, "replay": 3},
    "r_mgm": {"attack": ONE_STEP},
    "gat": {"attack": SIGN} | WEIGHT,
    "nuat": {"attack": SIGN} | WEIGHT,
    "nuat2": {"attack": SIGN | {"steps": 2}, "guide": 0.9} | WEIGHT,
    "awp": {"attack": ONE_STEP},
    "trades_awp": {"attack": ONE_STEP | {"start": "gaussian"}},
}


@pytest.mark.parametrize("name", CASES)
def test_killed_in_mid_epoch_and_resumed_it_is_the_same_training(name, tmp_path) -> None:
    how = {"ema": {"decay": 0.9, "buffers": "averaged", "begins": "first-step"}}
    undisturbed = fit(tiny(name, training=how, **CASES[name]))
    path, stopped = tmp_path / "checkpoint.safetensors", tiny(name, training=how, **CASES[name])
    with pytest.raises(Interrupted):
        fit(stopped, save=lambda state: state.save(path), stop_requested=lambda: stopped.steps_done == 7)
    resumed = tiny(name, training=how, **CASES[name])
    resumed.restore(Checkpoint.load(path, "tiny"))
    outcome = fit(resumed)
    assert all(torch.equal(value, outcome.weights[key]) for key, value in undisturbed.weights.items())
    assert outcome.history[-1]["train_loss"] == undisturbed.history[-1]["train_loss"]
