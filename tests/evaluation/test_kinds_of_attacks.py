"""Each kind of attack that ships, against closed forms, loops written out in float64, and its authors."""

import copy
from typing import Any

import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack_targeted
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from robustfront.attacks import Ball
from robustfront.config.attacks import EvaluationAttack
from robustfront.config.evaluations import Evaluation
from robustfront.config.identity import evaluation_id
from robustfront.config.registry import resolve
from robustfront.config.schema import Threat
from robustfront.data.store import Split
from robustfront.errors import ConfigError
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.room import Room
from robustfront.evaluation.subject import Subject
from robustfront.evaluation.target import Target
from robustfront.models import Classifier
from toy_models import Convolutional, random_images, random_linear

SHAPE = (3, 6, 6)
SHORT: dict[str, dict[str, Any]] = {
    "fgsm": {"kind": "pgd", "steps": 1, "step_size": 0.06, "start": "none"},
    "t-pgd": {"kind": "pgd", "steps": 6, "step_size": 0.02, "targets": 3},
    "mifgsm": {"kind": "mifgsm", "steps": 6, "step_size": 0.02, "start": "uniform"},
    "apgd-ce": {"kind": "apgd", "steps": 8, "restarts": 2},
    "apgd-dlr": {"kind": "apgd", "steps": 8, "objective": "dlr"},
    "t-apgd": {"kind": "apgd", "steps": 8, "objective": "dlr", "targets": 9},
    "fab": {"kind": "fab", "steps": 8},
    "t-fab": {"kind": "fab", "steps": 8, "targets": 9},
    "cw": {"kind": "cw", "steps": 12, "lr": 0.05, "c": 10.0},
    "square": {"kind": "square", "queries": 40},
    "gama": {
        "kind": "gama",
        "steps": 8,
        "step_size": 0.04,
        "drops": [3, 6],
        "weight_steps": 4,
        "restarts": 2,
    },
}
BY_IMAGE = sorted(SHORT.keys() - {"square"})
each = pytest.mark.parametrize("name", sorted(SHORT))
each_by_image = pytest.mark.parametrize("name", BY_IMAGE)
each_norm = pytest.mark.parametrize("norm", ["linf", "l2"])
each_space = pytest.mark.parametrize("space", ["pixel", "normalised"])


def settings_of(attack: dict[str, Any]) -> EvaluationAttack:
    return EvaluationAttack.model_validate(attack)


def ball_of(model: Classifier, eps: float, norm: str = "linf", space: str = "pixel", **more: Any) -> Ball:
    threat = Threat.model_validate({"norm": norm, "eps": eps, "space": space} | more)
    return Ball.of(threat, model.mean, model.std)


def crafted(
    attack: dict[str, Any], model: Classifier, x: Tensor, y: Tensor, ball: Ball, batch: int = 64
) -> Tensor:
    """x' in batches of `batch`, inside the ball."""
    settings = settings_of(attack)
    target = Target(
        settings.label,
        model,
        x,
        y,
        torch.arange(len(x)),
        ball,
        0,
        Room(batch),
        lambda name: lambda attack, x, labels: attack(x, labels),
        lambda *progress: None,
    )
    (x_adv,) = resolve(settings.made_by, type(settings))(settings, target).values()
    assert ball.contains(x_adv, x).all()
    return x_adv


def fell(model: Classifier, x_adv: Tensor, y: Tensor) -> Tensor:
    return model(x_adv).argmax(1) != y


def curved(classes: int = 6) -> Convolutional:
    torch.manual_seed(0)
    model = Convolutional(classes)
    model.body[0].weight.data *= 6
    model.head.weight.data *= 12
    return model.eval()


def classified(model: Classifier, n: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    x = random_images(n, SHAPE, seed).to(model.mean.dtype)
    return x, model(x).argmax(1)


def distance_to_plane(model: Classifier, x: Tensor, ball: Ball) -> Tensor:
    """|z_1 - z_0| over the length of its gradient, in units of the threat's space."""
    slope = (model.head.weight[1] - model.head.weight[0]).view(1, *SHAPE) / model.std
    logits = model(x)
    return ((logits[:, 1] - logits[:, 0]).abs() / (ball.scale * slope).norm()).detach()


# ------------------------------------------------------------------------------------------ closed forms
def strong(eps: float) -> dict[str, dict[str, Any]]:
    """Settings with which two linear classes leave nothing to find."""
    return {
        "fgsm": {"kind": "pgd", "steps": 1, "step_size": eps, "start": "none"},
        "t-pgd": {"kind": "pgd", "steps": 8, "step_size": eps / 4, "start": "none", "targets": 9},
        "mifgsm": {"kind": "mifgsm", "steps": 10, "step_size": eps / 10},
        "apgd-ce": {"kind": "apgd", "steps": 20},
        "fab": {"kind": "fab", "steps": 30},
        "t-fab": {"kind": "fab", "steps": 30, "targets": 9},
    }


each_strong = pytest.mark.parametrize("name", sorted(strong(1.0)))


def agrees(found: Tensor, at_most: Tensor, nearly: Tensor) -> bool:
    """Whether none fell but those that fall `at_most`, and all that fall in a ball that is 2 % smaller."""
    assert 20 < nearly.sum() <= at_most.sum() < 180
    assert at_most.sum() - nearly.sum() < 20
    return bool((found <= at_most).all() and (found >= nearly).all())


@each_space
@each_strong
def test_of_two_linear_classes_those_fall_whose_worst_margin_says_so(name: str, space: str) -> None:
    model = random_linear(2, SHAPE, norm=2.0).eval()
    x = (1.5 * random_images(200, SHAPE) - 0.25).clamp(0, 1)  # a third black or white
    if "fab" in name and space == "normalised":  # its planes know nothing of the clip inside the unit box
        x = 0.1 + 0.8 * x
    y = model(x).argmax(1)
    ball = ball_of(model, 0.06, space=space)
    at_most, nearly = (model.worst_margin(x, y, r * ball.scale) > 0 for r in (0.06001, 0.0588))
    assert agrees(fell(model, crafted(strong(0.06)[name], model, x, y, ball), y), at_most, nearly)


@pytest.mark.parametrize("name", ["fab", "t-fab"])
def test_fab_finds_the_nearest_of_several_linear_classes(name: str) -> None:
    model = random_linear(5, SHAPE, norm=2.0).eval()
    x, y = classified(model, 200)
    ball = ball_of(model, 0.03)
    at_most, nearly = (model.worst_margin(x, y, r * ball.scale) > 0 for r in (0.03001, 0.0294))
    assert agrees(fell(model, crafted(strong(0.03)[name], model, x, y, ball), y), at_most, nearly)


@each_space
@each_strong
def test_in_l2_those_fall_that_are_nearer_to_the_plane_than_eps(name: str, space: str) -> None:
    model = random_linear(2, SHAPE, norm=0.4).eval()
    x = 0.4 + 0.2 * random_images(200, SHAPE)  # the box is out of reach
    y = model(x).argmax(1)
    away = distance_to_plane(model, x, ball_of(model, 1.0, "l2", space))
    eps = away.median().item()
    found = fell(model, crafted(strong(eps)[name], model, x, y, ball_of(model, eps, "l2", space)), y)
    assert agrees(found, away < 1.0001 * eps, away < 0.98 * eps)


@each_space
def test_cw_comes_as_near_as_the_plane_allows_and_counts_only_what_lies_in_the_ball(space: str) -> None:
    model = random_linear(2, SHAPE, norm=0.4).eval()
    x = 0.4 + 0.2 * random_images(200, SHAPE)
    y = model(x).argmax(1)
    wide = ball_of(model, 50.0, "l2", space)
    away = distance_to_plane(model, x, wide)
    eps = away.median().item()
    attack = {"kind": "cw", "steps": 300, "lr": 0.005, "c": 3.0 if space == "normalised" else 0.3}
    everywhere = crafted(attack, model, x, y, wide)
    assert fell(model, everywhere, y).all()
    reached = wide.distance(everywhere, x)
    assert (reached >= away - 1e-5).all()
    assert (reached <= 1.05 * away + 0.15 * eps).all()
    x_adv = crafted(attack, model, x, y, ball_of(model, eps, "l2", space))
    found = fell(model, x_adv, y)
    assert found[away < 0.9 * eps].all()
    assert not found[away > 1.001 * eps].any()
    assert torch.equal(x_adv[~found], x[~found])


# -------------------------------------------------------------------------------------- textbook loops
@each_space
@each_norm
def test_mifgsm_is_the_loop_of_its_paper(norm: str, space: str) -> None:
    model = curved().double()
    x, y = classified(model, 16)
    ball = ball_of(model, 0.06, norm, space)
    attack = {"kind": "mifgsm", "steps": 7, "step_size": 0.02, "decay": 0.9}
    # in z, the space of the threat
    z, scale = x / ball.scale, ball.scale
    z_adv, total = z.clone(), torch.zeros_like(z)
    for _ in range(7):
        z_adv.requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(model(z_adv * scale), y, reduction="sum"), z_adv)
        total = 0.9 * total + gradient / gradient.abs().flatten(1).sum(1).view(-1, 1, 1, 1)
        along = total.sign() if norm == "linf" else total / total.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        delta = z_adv.detach() + 0.02 * along - z
        if norm == "linf":
            delta = delta.clamp(-0.06, 0.06)
        else:
            delta = delta * (0.06 / delta.flatten(1).norm(dim=1).clamp(min=0.06)).view(-1, 1, 1, 1)
        z_adv = ((z + delta) * scale).clamp(0, 1) / scale
    torch.testing.assert_close(
        crafted(attack, model, x, y, ball), (z_adv * scale).detach(), rtol=0, atol=1e-12
    )


def test_momentum_matters_and_ten_steps_of_2_cannot_pass_20_of_255() -> None:
    model = curved()
    x, y = classified(model, 16)
    attack = {"kind": "mifgsm", "steps": 10, "step_size": 2 / 255}
    at_24, at_32 = (crafted(attack, model, x, y, ball_of(model, eps / 255)) for eps in (24, 32))
    assert torch.equal(at_24, at_32)
    assert (at_24 - x).abs().amax() <= 20 / 255 + 1e-6
    started = crafted(attack | {"start": "uniform"}, model, x, y, ball_of(model, 32 / 255))
    assert (started - x).abs().amax() > 24 / 255
    without = crafted(attack | {"decay": 0.0}, model, x, y, ball_of(model, 24 / 255))
    pgd = {"kind": "pgd", "steps": 10, "step_size": 2 / 255, "start": "none"}
    assert torch.equal(without, crafted(pgd, model, x, y, ball_of(model, 24 / 255)))
    assert not torch.equal(without, at_24)


@each_norm
@pytest.mark.parametrize("objective", ["ce", "margin"])
def test_targeted_pgd_descends_to_one_class_after_the_other(norm: str, objective: str) -> None:
    model = curved().double()
    x, y = classified(model, 24)
    eps, size = (0.02, 0.005) if norm == "linf" else (0.12, 0.03)
    ball = ball_of(model, eps, norm)
    attack = {"kind": "pgd", "steps": 8, "step_size": size, "start": "none", "targets": 2}
    expected = x.clone()
    order = model(x).sort(dim=1, descending=True).indices
    largest = torch.full((24,), -float("inf")).double()

    def away_from(logits: Tensor, label: Tensor) -> Tensor:
        if objective == "ce":
            return cross_entropy(logits, label, reduction="none")
        others = logits.masked_fill(nn.functional.one_hot(label, 6).bool(), -float("inf"))
        return others.amax(1) - logits.gather(1, label[:, None]).squeeze(1)

    for column in (1, 2):
        x_adv = x.clone()
        for _ in range(8):
            x_adv.requires_grad_()
            (gradient,) = torch.autograd.grad(away_from(model(x_adv), order[:, column]).sum(), x_adv)
            along = (
                gradient.sign()
                if norm == "linf"
                else gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            )
            delta = x_adv.detach() - size * along - x
            if norm == "linf":
                delta = delta.clamp(-eps, eps)
            else:
                delta = delta * (eps / delta.flatten(1).norm(dim=1).clamp(min=eps)).view(-1, 1, 1, 1)
            x_adv = (x + delta).clamp(0, 1)
        value = away_from(model(x_adv), y).detach()
        taken = ~fell(model, expected, y) & (fell(model, x_adv, y) | (value > largest))
        expected[taken], largest[taken] = x_adv[taken], value[taken]
    found = crafted(attack | {"objective": objective}, model, x, y, ball)
    assert 2 < fell(model, found, y).sum() < 24
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@each_norm
def test_cw_is_the_loop_of_its_paper(norm: str) -> None:
    model = curved().double()
    x, y = classified(model, 16)
    eps = 0.4 if norm == "linf" else 1.5
    ball = ball_of(model, eps, norm, "normalised")
    attack = {"kind": "cw", "steps": 25, "lr": 0.05, "c": 20.0, "kappa": 0.1}
    w = torch.atanh(0.999999 * (2 * x - 1))
    first, second, found, least = torch.zeros_like(w), torch.zeros_like(w), x.clone(), [float("inf")] * 16
    for step in range(1, 26):
        w.requires_grad_()
        point = (torch.tanh(w) + 1) / 2
        logits = model(point)
        delta = (point - x) / model.std
        label = logits.gather(1, y[:, None]).squeeze(1)
        other = logits.scatter(1, y[:, None], -1e9).amax(1)
        loss = delta.square().sum() + 20 * torch.maximum(label - other, torch.tensor(-0.1)).sum()
        (gradient,) = torch.autograd.grad(loss, w)
        for i in range(16):
            size = delta[i].abs().max() if norm == "linf" else delta[i].norm()
            if other[i] > label[i] and size <= eps and delta[i].norm() < least[i]:
                found[i], least[i] = point[i].detach(), delta[i].norm().item()
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        update = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        w = w.detach() - 0.05 * update
    x_adv = crafted(attack, model, x, y, ball)
    assert 0 < fell(model, x_adv, y).sum() < 16
    torch.testing.assert_close(x_adv, found, rtol=0, atol=1e-9)


@each_norm
def test_t_apgd_fells_what_its_authors_code_fells(norm: str) -> None:
    model = curved()
    x, y = classified(model, 32)
    eps = 0.015 if norm == "linf" else 0.08
    settings = {"norm": {"linf": "Linf", "l2": "L2"}[norm], "eps": eps, "n_iter": 40, "seed": 0}
    authors = APGDAttack_targeted(model, n_target_classes=5, device="cpu", **settings)
    with torch.random.fork_rng():
        expected = fell(model, authors.perturb(x, y), y)
    attack = {"kind": "apgd", "objective": "dlr", "targets": 9, "steps": 40}
    found = fell(model, crafted(attack, model, x, y, ball_of(model, eps, norm)), y)
    assert 4 < expected.sum() < 28
    assert torch.equal(found, expected)


def test_square_searches_with_as_many_queries_as_it_says() -> None:
    model = curved()
    x, y = classified(model, 32)
    ball = ball_of(model, 0.02)
    few, many = (
        fell(model, crafted({"kind": "square", "queries": n}, model, x, y, ball), y).sum() for n in (2, 400)
    )
    assert few < many


# --------------------------------------------------------------------------------------- what all keep to
def subject_of(model: Classifier, n: int = 40) -> Subject:
    images = (255 * random_images(n, SHAPE)).round().to(torch.uint8)
    labels = model(images / 255).argmax(1)
    labels[::7] = (labels[::7] + 1) % model.classes
    return Subject.of(model, Split(images, labels, torch.arange(n)), "cpu")


def evaluation(name: str, **changes: Any) -> Evaluation:
    content = {"attack": SHORT[name], "threat": {"eps": 0.03}, "batch_size": 40}
    return Evaluation.model_validate(content | changes)


@each_norm
@each_space
@each
def test_it_fells_images_in_either_space_and_leaves_the_network_as_it_was(
    name: str, space: str, norm: str
) -> None:
    model = curved()
    before = copy.deepcopy(model.state_dict())
    threat = {"eps": {"linf": 0.04, "l2": 0.2}[norm] * (1 if space == "pixel" else 4), "norm": norm}
    wanted = evaluation(name, threat=threat | {"space": space})
    found = evaluate(subject_of(model), wanted).rows
    attacked = ~found["carried"]
    assert found["success"][attacked].any()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


@each
def test_only_what_is_drawn_by_batch_depends_on_its_size(name: str) -> None:
    model = curved()
    x, y = classified(model, 40)
    whole, small = evaluation(name), evaluation(name, batch_size=7)
    if name == "square":
        assert evaluation_id(whole) != evaluation_id(small)
        return
    assert evaluation_id(whole) == evaluation_id(small)
    ball = ball_of(model, 0.03)
    at_once, in_parts = (crafted(SHORT[name], model, x, y, ball, batch) for batch in (40, 7))
    assert torch.equal(fell(model, at_once, y), fell(model, in_parts, y))
    assert (at_once - in_parts).abs().flatten(1).amax(dim=1).median() < 1e-5


@pytest.mark.parametrize("name", ["cw", "mifgsm", "t-pgd"])
def test_some_keep_to_any_clip(name: str) -> None:
    model = curved()
    threat = {"eps": 0.2, "space": "normalised", "clip": "normalised-unit"}
    assert settings_of(SHORT[name]).respects_any_clip
    assert evaluate(subject_of(model), evaluation(name, threat=threat)).rows["success"].any()


@pytest.mark.parametrize("name", ["apgd-ce", "fab", "square"])
def test_others_say_that_they_do_not(name: str) -> None:
    model = curved()
    x, y = classified(model, 4)
    ball = ball_of(model, 0.2, space="normalised", clip="normalised-unit")
    assert not settings_of(SHORT[name]).respects_any_clip
    with pytest.raises(ConfigError, match="clip 'normalised-unit' is beyond"):
        crafted(SHORT[name], model, x, y, ball)


class Counting(Convolutional):
    """Counts images that pass forwards, and those that a gradient comes back to."""

    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        if x.requires_grad and torch.is_grad_enabled():
            x = x.clone()
            x.register_hook(self.count)
        return super().forward(x)

    def count(self, gradient: Tensor) -> None:
        self.passes += len(gradient)


@each
def test_it_costs_what_plans_say_of_images_that_withstand(name: str) -> None:
    torch.manual_seed(0)
    model = Counting(10).eval()
    x, y = classified(model, 8, seed=5)
    model.passes = 0
    crafted(SHORT[name], model, x, y, ball_of(model, 1e-5))
    assert model.passes == settings_of(SHORT[name]).passes(8)


@each
def test_networks_that_look_at_batches_always_see_whole_ones(name: str) -> None:
    model = curved()
    model.body[1] = nn.BatchNorm2d(8, track_running_stats=False)
    sizes: set[int] = set()
    model.body.register_forward_pre_hook(lambda layer, given: sizes.add(len(given[0])))
    subject = subject_of(model)
    sizes.clear()
    found = evaluate(subject, evaluation(name, batch_size=16, whole_batches=True))
    assert sizes == {16}
    assert found.rows["success"].any()


@pytest.mark.parametrize(("name", "needed"), [("apgd-dlr", 3), ("t-apgd", 4), ("fab", 2), ("cw", 2)])
def test_too_few_classes_are_refused(name: str, needed: int) -> None:
    for classes in (2, 3, 4):
        model = curved(classes)
        if classes >= needed:
            evaluate(subject_of(model), evaluation(name))
            continue
        with pytest.raises(ConfigError, match=f"needs {needed} classes or more, not {classes}"):
            evaluate(subject_of(model), evaluation(name))


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ({"kind": "pgd", "steps": 2, "step_size": 0.1, "targets": 3, "restarts": 2}, "set restarts to 1"),
        ({"kind": "pgd", "steps": 2, "step_size": 0.1, "targets": 3, "also": {"a": 1}}, "leave out targets"),
        ({"kind": "apgd", "targets": 3}, "objective 'ce' has no targeted form"),
    ],
)
def test_settings_that_mean_nothing_are_refused(attack: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings_of(attack)


def test_words_say_what_it_does() -> None:
    assert {name: settings_of(attack).words for name, attack in SHORT.items()} == {
        "fgsm": "1 steps of 0.06, ce",
        "t-pgd": "6 steps of 0.02, ce to 3 classes in turn",
        "mifgsm": "6 steps of 0.02, decay 1, uniform start",
        "apgd-ce": "8 steps of its own size, ce, 2 restarts",
        "apgd-dlr": "8 steps of its own size, dlr",
        "t-apgd": "8 steps of its own size, dlr to 9 classes in turn",
        "fab": "8 steps along the boundary to the nearest class",
        "t-fab": "8 steps along the boundary to 9 classes in turn",
        "cw": "steps 12, c 10, kappa 0, lr 0.05",
        "square": "queries 40",
        "gama": "8 steps of 0.04 and less, guided margin, 2 restarts",
    }
