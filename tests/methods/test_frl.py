import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_training import CLASSES, make, network, store, trainer
from torch import Tensor

from moments import moment
from robustfront.attacks import Ball
from robustfront.config.schema import Ascent, Threat
from robustfront.data.augment import to_float
from robustfront.data.store import Split
from robustfront.errors import Interrupted
from robustfront.methods import class_balance, methods
from robustfront.methods.base import Setting
from robustfront.planning import load_plan
from robustfront.planning.estimate import estimate
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.loop import Watcher
from toy_models import Convolutional, random_images, random_linear

IMAGES = np.array([10.0, 12.0, 8.0, 20.0])
CLEAN_WRONG = np.array([[1, 9, 0, 2], [2, 9, 0, 1], [0, 6, 0, 9], [1, 3, 1, 1.0]])
ROBUST_WRONG = np.array([[4, 12, 1, 3], [9, 10, 0, 2], [5, 11, 8, 12], [2, 9, 2, 12.0]])


def balanced(**params: Any) -> Any:
    return make("frl", network(), **params)


def run_epochs(method: Any, monkeypatch: pytest.MonkeyPatch, epochs: range) -> None:
    """Starts the epochs with the error counts of the tables above, one row each."""
    for epoch in epochs:
        row = epoch % len(CLEAN_WRONG)
        counts = torch.tensor(np.stack([IMAGES, CLEAN_WRONG[row], ROBUST_WRONG[row]]))
        monkeypatch.setattr(class_balance, "count_errors", lambda *args, counts=counts: counts)
        method.start_epoch(None, moment(epoch=epoch))


def reference(epochs: range, *, r: float, r_margin: float, delta: float, limit: float, halving: int) -> Any:
    """Weights and radius factors after these epochs, class by class as Xu et al. write them."""
    lam = np.zeros((3, CLASSES))
    for epoch in epochs:
        row = epoch % len(CLEAN_WRONG)
        clean, robust = CLEAN_WRONG[row], ROBUST_WRONG[row]
        rate = r * 0.5 ** sum(1 for e in range(1, epoch + 2) if e % halving == 0)
        gamma = np.zeros((2, CLASSES))
        for c in range(CLASSES):
            gamma[0, c] = clean[c] / IMAGES[c] - clean.sum() / IMAGES.sum() - delta
            gamma[1, c] = (robust[c] - clean[c]) / IMAGES[c] - (robust - clean).sum() / IMAGES.sum() - delta
        for k, step in ((0, rate), (1, 2 * rate)):
            lam[k] = np.maximum(lam[k] + step * gamma[k], 0)
            if lam[k].sum() > limit:
                lam[k] *= limit / lam[k].sum()
        lam[2] += r_margin * gamma[1]
    weights = np.full((2, CLASSES), 1 / CLASSES)
    for k in range(2):
        for i in range(CLASSES):
            for j in range(CLASSES):
                weights[k, i] += (CLASSES - 1) / CLASSES * lam[k, j] if i == j else -lam[k, j] / CLASSES
    return weights, np.clip(np.exp(2 * lam[2]), 0.98, 2.5)


@pytest.mark.parametrize(
    ("epochs", "settings"),
    [
        (range(1), {}),
        (range(4), {}),
        (range(9), {"weight_rate": 0.4, "rate_halving": 3}),  # halved thrice, and the limit is reached
        (range(12), {"weight_rate": 0.8, "margin_rate": 0.9, "multiplier_limit": 0.25, "clean_bound": 0.07}),
    ],
)
def test_weights_and_radii_follow_the_validation_errors(
    epochs: range, settings: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = balanced(**settings)
    run_epochs(method, monkeypatch, epochs)
    weights, factors = reference(
        epochs,
        r=settings.get("weight_rate", 0.05),
        r_margin=settings.get("margin_rate", 0.2),
        delta=0.07,
        limit=settings.get("multiplier_limit", 0.5),
        halving=int(settings.get("rate_halving", 40)),
    )
    np.testing.assert_allclose(class_balance.class_weights(method.multipliers[0]), weights[0], rtol=1e-12)
    np.testing.assert_allclose(method.clean_weights, weights[0], rtol=1e-6)
    np.testing.assert_allclose(method.boundary_weights, weights[1], rtol=1e-6)
    np.testing.assert_allclose(method.eps_factors, factors, rtol=1e-6)


def test_the_margin_rate_is_never_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    halved, kept = balanced(rate_halving=1), balanced(rate_halving=40)
    for method in (halved, kept):
        run_epochs(method, monkeypatch, range(3))
    assert torch.equal(halved.eps_factors, kept.eps_factors)
    assert not torch.equal(halved.clean_weights, kept.clean_weights)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda v: sum(v) > 0), st.floats(0.01, 0.99))
def test_class_weights_sum_to_one_and_stay_positive(values: list[float], total: float) -> None:
    multipliers = torch.tensor(values, dtype=torch.float64)
    weights = class_balance.class_weights(multipliers * total / multipliers.sum())
    assert weights.sum() == pytest.approx(1)
    assert weights.min() > 0


def test_a_class_without_validation_images_counts_as_average() -> None:
    counts = torch.tensor([[10.0, 0, 10], [1, 0, 3], [5, 0, 9]], dtype=torch.float64)
    errors, violations = class_balance.constraint_violations(counts, torch.tensor([[0.1], [0.2]]))
    torch.testing.assert_close(errors[:, 1], torch.tensor([0.2, 0.5]).double())
    torch.testing.assert_close(violations[:, 1], torch.tensor([-0.1, -0.2]).double())


def test_validation_errors_are_those_of_the_exact_worst_case_of_a_linear_model() -> None:
    model = random_linear(2, (3, 4, 4), norm=2.0)
    data = Split((255 * random_images(40, (3, 4, 4))).byte(), torch.arange(40) % 2, torch.arange(40))
    ball = Ball.of(Threat(eps=0.03), model.mean, model.std)
    ascent = Ascent(steps=20, step_size=0.01, start="uniform")
    counts = class_balance.count_errors(model.train(), data, ball, ascent, torch.Generator().manual_seed(0))
    x = to_float(data.images)
    clean_wrong = model(x).argmax(dim=1) != data.labels
    robust_wrong = model.worst_margin(x, data.labels, torch.full((1, 3, 1, 1), 0.03)) > 0
    assert clean_wrong.sum() < robust_wrong.sum() < 40
    for label in range(2):
        of_class = data.labels == label
        expected = [of_class.sum(), (of_class & clean_wrong).sum(), (of_class & robust_wrong).sum()]
        assert counts[:, label].tolist() == [float(value) for value in expected]
    assert model.training


def test_validation_is_attacked_in_the_threat_model_that_judges_the_run() -> None:
    assert trainer("frl").method.validation_ball.threat.eps == 0.02  # type: ignore[attr-defined]
    alone = trainer("frl", training={"validation": {}})
    assert alone.method.validation_ball.threat.eps == 0.03  # type: ignore[attr-defined]


def weighted_batch(**params: Any) -> tuple[Any, Tensor, Tensor, Tensor]:
    """FRL with unequal weights on a float64 model, and a batch."""
    torch.manual_seed(0)
    model = Convolutional().double()
    entry = methods["frl"].method
    given = {"threat": {"eps": 0.05}, "attack": {"steps": 3, "step_size": 0.02, "start": "gaussian"}}
    method: Any = entry(entry.Params.model_validate(given | params), Setting(model))
    multipliers = [[0.3, 0, 0.1, 0], [0, 0.2, 0.2, 0], [0.4, -0.3, 0, 0.1]]
    method.multipliers = torch.tensor(multipliers, dtype=torch.float64)
    method._apply_multipliers()
    x, y = random_images(7, (3, 6, 6)).double(), torch.tensor([0, 1, 2, 3, 0, 1, 0])
    return method, x, (x + 0.05 * random_images(7, (3, 6, 6), seed=5)).clamp(0, 1), y


def test_loss_is_the_class_weighted_trades_loss() -> None:
    method, x, x_adv, y = weighted_batch(beta=1.5)
    other = copy.deepcopy(method.model)
    outcome = method.losses(x, x_adv, y, moment())
    clean, adversarial = other(x), other(x_adv)
    weights = np.array([[0.25] * 4] * 2) + np.array([[0.3, 0, 0.1, 0], [0, 0.2, 0.2, 0]]) - 0.1
    top, bottom = [0.0, 0.0], [0.0, 0.0]
    for i, label in enumerate(y.tolist()):
        kl = F.kl_div(adversarial[i].log_softmax(0), clean[i].softmax(0), reduction="sum")
        for k, value in enumerate((F.cross_entropy(clean[i], y[i]), kl)):
            top[k] += weights[k, label] * value
            bottom[k] += weights[k, label]
    expected = {"clean_loss": top[0] / bottom[0], "adversarial_loss": 1.5 * top[1] / bottom[1]}
    assert outcome.parts.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(outcome.parts[name], value, rtol=1e-9, atol=0)
    outcome.total.backward()
    sum(expected.values()).backward()  # type: ignore[union-attr]
    for ours, theirs in zip(method.model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-14)


def test_the_radius_of_its_class_bounds_each_perturbation() -> None:
    method, x, _, y = weighted_batch()
    x_adv = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    reached = (x_adv - x).abs().amax(dim=(1, 2, 3))
    factors = torch.tensor([np.exp(0.8), 0.98, 1.0, np.exp(0.2)])[y].double()
    assert (reached <= 0.05 * factors + 1e-9).all()
    # the step is a quarter of the largest radius: three of them fill the small balls but not that one
    assert method.ascent.step_size == pytest.approx(0.25 * 0.05 * np.exp(0.8))
    torch.testing.assert_close(reached[y == 1], 0.05 * factors[y == 1])
    assert (reached[y == 0] > 0.05).all()
    assert (reached[y == 0] < 0.05 * factors[0]).all()


def test_without_remargin_all_classes_share_one_radius_and_the_step_is_the_attacks() -> None:
    method, x, _, y = weighted_batch(remargin=False)
    x_adv = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    assert (x_adv - x).abs().max() <= 0.05 + 1e-9
    assert method.ascent == method.params.attack
    assert not torch.equal(method.clean_weights, method.clean_weights.flip(0))


def test_with_both_parts_off_it_is_trades() -> None:
    method, x, _, y = weighted_batch(reweight=False, remargin=False)
    entry = methods["trades"].method
    given = {"threat": method.params.threat, "attack": method.params.attack, "beta": 1.5}
    plain = entry(entry.Params.model_validate(given), Setting(copy.deepcopy(method.model)))
    made = [m.craft(x, y, moment(torch.Generator().manual_seed(3))) for m in (method, plain)]
    torch.testing.assert_close(made[0], made[1])  # type: ignore[arg-type]
    parts = [m.losses(x, made[0], y, moment()).parts for m in (method, plain)]
    torch.testing.assert_close(parts[0], parts[1])


@pytest.mark.parametrize("steps", [3, 7])
def test_a_training_resumed_in_mid_epoch_or_at_its_end_repeats_an_undisturbed_one(steps: int) -> None:
    whole = trainer("frl").fit(Watcher(save=lambda state: None))
    saved: list[Checkpoint] = []
    first = trainer("frl")
    taken = iter(range(1, 100))
    with pytest.raises(Interrupted):
        first.fit(Watcher(save=saved.append, stop_requested=lambda: next(taken) == steps))
    second = trainer("frl")
    second.restore(copy.deepcopy(saved[-1]))
    resumed = second.fit(Watcher(save=lambda state: None))
    for name, value in whole.weights.items():
        assert torch.equal(value, resumed.weights[name]), name
    for one, two in zip(whole.history, resumed.history, strict=True):
        timing = {"seconds", "validation_seconds", "images_per_second"}
        assert {k: v for k, v in one.items() if k not in timing} == {
            k: v for k, v in two.items() if k not in timing
        }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_epochs_reduce_the_loss_and_log_the_balance(precision: str) -> None:
    run = trainer("frl", training={"precision": precision})
    _, first, last = run.fit(Watcher(save=lambda state: None)).history
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["train_clean_accuracy"] > first["train_clean_accuracy"]
    assert 0 <= last["worst_class_boundary_error"] <= 1
    assert last["largest_class_weight"] > 1
    assert 0.98 <= last["largest_eps_factor"] <= 2.5


def test_validation_errors_of_a_real_epoch_reach_history() -> None:
    run = trainer("frl")
    data = store()
    outcome = run.fit(Watcher(save=lambda state: None))
    fresh = network().eval()
    shown, _ = data.validation.halves()
    wrong = fresh(to_float(shown.images)).argmax(dim=1) != shown.labels
    worst = max(wrong[shown.labels == c].double().mean().item() for c in range(CLASSES))
    assert outcome.history[1]["worst_class_clean_error"] == pytest.approx(worst)


def test_factors_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="eps_factor_min is above eps_factor_max"):
        balanced(eps_factor_min=2.0, eps_factor_max=1.0)


def test_cost_counts_the_attack_and_the_validation_pass() -> None:
    entry = methods["frl"].method
    params = entry.Params.model_validate(
        {"threat": {"eps": 0.1}, "attack": {"steps": 10, "step_size": 0.1}, "validation_steps": 20}
    )
    assert entry.units(params) == 27
    assert entry.validation_units(params) == 42


def test_the_plan_adds_the_validation_pass_to_the_cost_of_trades(project: Path) -> None:
    plan = load_plan(project / "params.yaml", "digits", ["npat"])
    seconds = {entry.run.names[0].removeprefix("npat/"): entry.train_seconds for entry in estimate(plan)}
    (run,) = (run for run in plan.runs.values() if "npat/frl" in run.names)
    epochs = run.config.training.epochs
    passes = epochs * 100 * (1 + 2 * 20 + 1)  # one half of 200 validation images
    passes -= (epochs + 1) * 100 * (1 + 2 * 7)  # which no epoch is judged on
    extra = passes * run.config.model.forward_flops(channels=1, size=8, classes=10) / 10e9
    assert seconds["frl"] - seconds["trades"] == pytest.approx(extra)  # type: ignore[operator]
