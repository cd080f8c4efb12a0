import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_training import CLASSES, make, network, store, trainer
from torch import Tensor

from moments import moment
from robustfront import losses
from robustfront.config import schema
from robustfront.config.images import CropFlip
from robustfront.data.store import Split
from robustfront.errors import Interrupted
from robustfront.methods import methods
from robustfront.methods.base import Setting, Surroundings
from robustfront.methods.lookahead import step_of
from robustfront.methods.weighting import image_features
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.loop import Watcher
from toy_models import Convolutional, random_images

LABELS = torch.tensor([0, 1, 2, 3, 0, 1, 0, 2])
META_LABELS = torch.tensor([3, 3, 1, 0, 2, 0])
FAITHFUL = pytest.mark.parametrize("faithful", [False, True])


class Lesson:
    """CAAT in float64 on a small smooth model after one step of SGD, a batch, and validation images."""

    def __init__(self, *, faithful: bool, temperature: float = 0.7, nesterov: bool = False) -> None:
        torch.manual_seed(0)
        self.model = Convolutional().double()
        entry = methods["caat"].method
        params = {
            "threat": {"eps": 0.05},
            "attack": {"steps": 3, "step_size": 0.02, "start": "gaussian"},
            "faithful": faithful,
            "temperature": temperature,
            "hidden": 5,
        }
        self.caat: Any = entry(entry.Params.model_validate(params), Setting(self.model))
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.3, momentum=0.9, weight_decay=0.02, nesterov=nesterov
        )
        self.x, self.y = random_images(8, (3, 6, 6)).double(), LABELS
        self.pair = torch.cat(
            [(self.x + 0.05 * random_images(8, (3, 6, 6), seed=s)).clamp(0, 1) for s in (5, 6)]
        )
        self.x_meta = random_images(6, (3, 6, 6), seed=7).double()
        data = Split((255 * self.x_meta).byte(), META_LABELS, torch.arange(6))
        optimizer: Any = self.optimizer
        training = schema.Training.model_validate(
            {"epochs": 1, "batch_size": 8, "optimizer": {"lr": 0.3}, "schedule": {"kind": "constant"}}
        )
        train = Split((255 * self.x).byte(), LABELS, torch.arange(8))
        self.caat.attach(Surroundings(optimizer, training, CropFlip(), train, data))
        multipliers = [[0.3, 0, 0.1, 0], [0, 0.2, 0.2, 0], [0.4, -0.3, 0, 0.1]]
        self.caat.multipliers = torch.tensor(multipliers, dtype=torch.float64)
        self.caat._apply_multipliers()
        self.caat.class_losses = torch.tensor([0.5, 1.0, 2.0, 1.5]).double()
        losses.cross_entropy(self.model(self.x), self.y).mean().backward()
        self.optimizer.step()  # there is momentum now

    def fix_validation_images(self) -> None:
        """Adversaries that do not depend on the weights: sign steps would make the loss jump."""
        self.caat._validation_batch = lambda size, generator: (self.x_meta, META_LABELS)
        self.caat.adversaries = lambda model, x, y, classes, generator: torch.cat([0.9 * x, x**2])


def reference_loss(
    logits: list[Tensor], y: Tensor, classes: Tensor, u: Tensor, v: Tensor, *, beta: float = 1.5
) -> Tensor:
    """CAAT's loss image by image."""
    w = np.full((2, 4), 0.25) + np.array([[0.3, 0, 0.1, 0], [0, 0.2, 0.2, 0]]) - 0.1
    clean, adversarial, anti = logits
    top, bottom, rest = [0.0, 0.0], [0.0, 0.0], 0.0
    for i, label in enumerate(classes.tolist()):
        kl = F.kl_div(adversarial[i].log_softmax(0), clean[i].softmax(0), reduction="sum")
        for k, value in enumerate((F.cross_entropy(clean[i], y[i]), kl)):
            top[k] += w[k, label] * u[i] * value
            bottom[k] += w[k, label]
        rest += v[i] * F.cross_entropy(anti[i], y[i]) / len(y)
    return top[0] / bottom[0] + beta * top[1] / bottom[1] + rest  # type: ignore[return-value]


def reference_mixture(lesson: Lesson, network: torch.nn.Module, logits: Tensor) -> Tensor:
    """(u, v) by the batch's own statistics, layer by layer."""
    shares = torch.tensor([3, 2, 2, 1]).double() / 8
    f = image_features(logits, lesson.y, torch.tensor([0.5, 1.0, 2.0, 1.5]).double(), shares)
    norm, first, _, second = network
    f = (f - f.mean(0)) / (f.var(0, correction=0) + 1e-5).sqrt() * norm.weight + norm.bias  # type: ignore[index]
    hidden = (f @ first.weight.T + first.bias).clamp_min(0)  # type: ignore[operator,union-attr]
    return ((hidden @ second.weight.T + second.bias) / 0.7).softmax(dim=1)  # type: ignore[operator,union-attr]


def test_features_of_an_image() -> None:
    torch.manual_seed(0)
    logits = (3 * torch.randn(6, CLASSES, dtype=torch.float64)).requires_grad_()
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    features = image_features(
        logits, y, torch.arange(4).double(), torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
    )
    for i, label in enumerate(y.tolist()):
        value = F.cross_entropy(logits[i], y[i])
        (gradient,) = torch.autograd.grad(value, logits)
        p = logits[i].softmax(0).detach()
        others = torch.cat([p[:label], p[label + 1 :]])
        entropy = torch.distributions.Categorical(probs=p).entropy()
        expected = [value.item(), float(label), gradient[i].norm(), p[label] - others.max(), -entropy]
        torch.testing.assert_close(features[i, :5].detach(), torch.tensor(expected).double())
        assert features[i, 5].item() == pytest.approx(0.4 - 0.1 * label)


@FAITHFUL
def test_loss_mixes_adversaries_and_anti_adversaries(faithful: bool) -> None:
    lesson = Lesson(faithful=faithful)
    other = copy.deepcopy(lesson.model).train(not faithful)
    outcome = lesson.caat.losses(lesson.x, lesson.pair, lesson.y, moment(step=1))
    logits = [other(view) for view in (lesson.x, *lesson.pair.chunk(2))]
    with torch.no_grad():
        u, v = reference_mixture(lesson, lesson.caat.network, logits[0]).unbind(1)
    assert 0 < v.min() < v.max() < 1
    expected = reference_loss(logits, lesson.y, lesson.y, u, v)
    torch.testing.assert_close(outcome.total, expected, rtol=1e-12, atol=0)
    lesson.model.zero_grad()
    outcome.total.backward()
    expected.backward()
    for ours, theirs in zip(lesson.model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-13)


@FAITHFUL
@pytest.mark.parametrize("nesterov", [False, True])
def test_gradient_through_the_virtual_step_matches_finite_differences(faithful: bool, nesterov: bool) -> None:
    lesson = Lesson(faithful=faithful, nesterov=nesterov)
    lesson.fix_validation_images()
    gradient = lesson.caat.meta_gradient(lesson.x, lesson.pair, lesson.y, torch.Generator())
    classes = LABELS[:6] if faithful else META_LABELS

    def loss_after_step(network: torch.nn.Module) -> float:
        """A real step of a copy of model and optimiser, by plain autograd."""
        model = copy.deepcopy(lesson.model).train(not faithful)
        buffers = copy.deepcopy(dict(model.named_buffers()))
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        optimizer.load_state_dict(copy.deepcopy(lesson.optimizer.state_dict()))
        logits = [model(view) for view in (lesson.x, *lesson.pair.chunk(2))]
        u, v = reference_mixture(lesson, network, logits[0] if faithful else logits[0].detach()).unbind(1)
        optimizer.zero_grad()
        reference_loss(logits, lesson.y, lesson.y, u, v).backward()
        optimizer.step()
        model.load_state_dict(buffers, strict=False)
        views = (lesson.x_meta, 0.9 * lesson.x_meta, lesson.x_meta**2)
        with torch.no_grad():
            meta = [model.eval()(view) for view in views]
        ones = torch.ones(6).double()
        return reference_loss(meta, META_LABELS, classes, ones, ones).item()

    generator, h = torch.Generator().manual_seed(1), 1e-5
    for name, parameter in lesson.caat.network.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            network = copy.deepcopy(lesson.caat.network)
            dict(network.named_parameters())[name].data += sign * h * direction
            ends.append(loss_after_step(network))
        slope = (ends[0] - ends[1]) / (2 * h)
        assert (gradient[name] * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-9), name
    assert max(value.abs().max() for value in gradient.values()) > 1e-4


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_virtual_step_is_the_optimisers(nesterov: bool) -> None:
    lesson = Lesson(faithful=False, nesterov=nesterov)
    lesson.optimizer.param_groups[0]["lr"] = 0.07
    for parameter in lesson.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    gradients = {name: value.grad for name, value in lesson.model.named_parameters()}
    virtual = step_of(lesson.optimizer, lesson.model)(gradients)  # type: ignore[arg-type]
    lesson.optimizer.step()
    for name, parameter in lesson.model.named_parameters():
        torch.testing.assert_close(virtual[name], parameter.detach(), rtol=1e-12, atol=1e-14)


@FAITHFUL
def test_learning_to_weigh_leaves_model_and_optimiser_alone_and_moves_the_network(faithful: bool) -> None:
    lesson = Lesson(faithful=faithful)
    lesson.model.zero_grad()
    before = copy.deepcopy((lesson.model.state_dict(), lesson.optimizer.state_dict()["state"]))
    weights = copy.deepcopy(lesson.caat.network.state_dict())
    lesson.caat._update_network(lesson.x, lesson.pair, lesson.y, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        (lesson.model.state_dict(), lesson.optimizer.state_dict()["state"]), before, rtol=0, atol=0
    )
    assert all(parameter.grad is None for parameter in lesson.model.parameters())
    assert all(parameter.requires_grad for parameter in lesson.model.parameters())
    # the first step of Adam has the length of its rate
    moved = [(value - weights[name]).abs().max() for name, value in lesson.caat.network.state_dict().items()]
    torch.testing.assert_close(torch.stack(moved), torch.full((6,), 1e-4).double(), rtol=1e-2, atol=0)


@FAITHFUL
def test_weights_and_radii_of_validation_images_are_those_of(faithful: bool) -> None:
    lesson = Lesson(faithful=faithful)
    seen = []
    lesson.caat.adversaries = lambda model, x, y, classes, generator: (
        seen.append((model, y, classes)) or torch.cat([x, x])
    )
    lesson.caat.meta_gradient(lesson.x, lesson.pair, lesson.y, torch.Generator().manual_seed(0))
    ((model, y, classes),) = seen
    assert model is not lesson.model
    assert sorted(y.tolist()) == sorted(META_LABELS.tolist())
    assert torch.equal(classes, LABELS[:6] if faithful else y)


@pytest.mark.parametrize(("faithful", "augmented"), [(False, False), (True, True)])
def test_validation_images_are_augmented_only_by_the_published_code(faithful: bool, augmented: bool) -> None:
    run = trainer("caat", pad=3, faithful=faithful)
    caat: Any = run.method
    stored = {image.numpy().tobytes() for image in store().validation.images}
    x, y = caat._validation_batch(8, torch.Generator().manual_seed(0))
    assert x.shape == (8, 1, 8, 8)
    assert len(y) == 8
    found = [(255 * image).round().byte().numpy().tobytes() in stored for image in x]
    assert all(found) is not augmented
    whole, labels = caat._validation_batch(1000, torch.Generator().manual_seed(0))
    assert len(whole) == len(labels) == 12  # of 24, of which the others select


@pytest.mark.parametrize("faithful", [False, True])
def test_class_losses_are_those_of_the_last_epoch_but_in_the_published_code(faithful: bool) -> None:
    run = trainer("caat", faithful=faithful)
    caat: Any = run.method
    seen: list[tuple[Tensor, Tensor]] = []
    original = caat.losses

    def spy(x: Tensor, x_adv: Tensor, y: Tensor, at: Any) -> Any:
        outcome = original(x, x_adv, y, at)
        seen.append((F.cross_entropy(outcome.clean_logits.detach(), y, reduction="none"), y))
        return outcome

    caat.losses = spy
    at_start = []
    begin = caat.start_epoch
    caat.start_epoch = lambda *args: (begin(*args), at_start.append(caat.class_losses.clone()))
    run.fit(Watcher(save=lambda state: None))
    values, y = (torch.cat(parts) for parts in zip(*seen[: len(seen) // 2], strict=True))
    means = torch.stack([values[y == label].mean() for label in range(CLASSES)])
    assert at_start[0].tolist() == [5.0] * CLASSES
    torch.testing.assert_close(at_start[1], torch.full((CLASSES,), 5.0) if faithful else means)


@pytest.mark.parametrize(("faithful", "updates"), [(False, [3, 6]), (True, [1, 1])])
def test_batch_norm_sees_one_batch_an_epoch_in_the_published_code(faithful: bool, updates: list[int]) -> None:
    model = network()
    caat: Any = make("caat", model, faithful=faithful)
    run = trainer("caat", faithful=faithful)
    caat.attach(
        Surroundings(run.optimizer, run.training, run.augmentation, run.store.train, run.store.validation)
    )
    data = store()
    caat.start_epoch(data.validation, moment(torch.Generator().manual_seed(0)))
    counted = []
    for step in range(2):
        x, y = data.train.images[:8] / 255, data.train.labels[:8]
        pair = caat.craft(x, y, moment(torch.Generator().manual_seed(0), step=step))
        model.train()
        caat.losses(x, pair, y, moment(step=step))
        counted.append(int(model.state_dict()["stages.0.0.norm1.num_batches_tracked"]))
    assert counted == updates


def test_adversaries_gain_divergence_and_anti_adversaries_lose_loss_within_the_radius_of_their_class() -> (
    None
):
    lesson = Lesson(faithful=False)
    x, y, model = lesson.x, lesson.y, lesson.model
    pair = lesson.caat.craft(x, y, moment(torch.Generator().manual_seed(0)))
    assert model.training
    model.eval()
    clean, (x_adv, x_anti) = model(x), pair.chunk(2)
    assert (losses.kl_divergence(clean, model(x_adv)) > 0).all()
    assert (losses.cross_entropy(model(x_adv), y).mean() > losses.cross_entropy(clean, y).mean()).all()
    assert (losses.cross_entropy(model(x_anti), y) < losses.cross_entropy(clean, y)).all()
    radius = 0.05 * torch.tensor([np.exp(0.8), 0.98, 1.0, np.exp(0.2)])[y].double()
    for view in (x_adv, x_anti):
        reached = (view - x).abs().amax(dim=(1, 2, 3))
        assert (reached <= radius + 1e-9).all()
        assert (reached[y == 0] > 0.05).all()  # three steps of 0.02
        torch.testing.assert_close(reached[y == 1], radius[y == 1])


def test_restarts_do_not_undo_anti_adversaries() -> None:
    lesson = Lesson(faithful=False)
    attack = lesson.caat.params.attack.model_copy(update={"restarts": 5, "start": "uniform"})
    lesson.caat.params = lesson.caat.params.model_copy(update={"attack": attack})
    _, x_anti = lesson.caat.craft(lesson.x, lesson.y, moment(torch.Generator().manual_seed(0))).chunk(2)
    lesson.model.eval()
    before, after = (losses.cross_entropy(lesson.model(view), lesson.y).mean() for view in (lesson.x, x_anti))
    assert after < before


def test_the_network_learns_every_so_many_steps_counted_over_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer("caat", meta_every=4)  # 5 steps an epoch
    caat: Any = run.method
    at: list[int] = []
    monkeypatch.setattr(caat, "_update_network", lambda *args: at.append(run.steps_done + 1))
    run.fit(Watcher(save=lambda state: None))
    assert at == [4, 8]


@FAITHFUL
@pytest.mark.parametrize("steps", [4, 7])
def test_a_resumed_training_repeats_an_undisturbed_one(faithful: bool, steps: int) -> None:
    settings: dict[str, Any] = {"meta_every": 3, "faithful": faithful, "pad": 1}
    whole = trainer("caat", **settings)
    expected = whole.fit(Watcher(save=lambda state: None))
    saved: list[Checkpoint] = []
    taken = iter(range(1, 100))
    with pytest.raises(Interrupted):
        trainer("caat", **settings).fit(
            Watcher(save=saved.append, stop_requested=lambda: next(taken) == steps)
        )
    second = trainer("caat", **settings)
    second.restore(copy.deepcopy(saved[-1]))
    resumed = second.fit(Watcher(save=lambda state: None))
    torch.testing.assert_close(resumed.weights, expected.weights, rtol=0, atol=0)
    torch.testing.assert_close(second.method.state(), whole.method.state(), rtol=0, atol=0)
    timing = {"seconds", "validation_seconds", "images_per_second"}
    for one, two in zip(expected.history, resumed.history, strict=True):
        assert {k: v for k, v in one.items() if k not in timing} == {
            k: v for k, v in two.items() if k not in timing
        }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_epochs_reduce_the_loss_and_log_the_mixture(precision: str) -> None:
    run = trainer("caat", meta_every=2, training={"precision": precision})
    _, first, last = run.fit(Watcher(save=lambda state: None)).history
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["train_clean_accuracy"] > first["train_clean_accuracy"]
    assert 0 < first["anti_adversary_share"] < 1
    parts = [last[f"train_{name}_loss"] for name in ("clean", "adversarial", "anti_adversarial")]
    assert last["train_loss"] == pytest.approx(sum(parts))


def test_cost_counts_both_attacks_and_the_look_ahead() -> None:
    entry = methods["caat"].method
    params = {"threat": {"eps": 0.1}, "attack": {"steps": 10, "step_size": 0.1}}
    model = entry.Params.model_validate
    assert entry.units(model(params | {"meta_every": 10**9})) == pytest.approx(41 + 9)
    assert entry.units(model(params | {"meta_every": 1})) == pytest.approx(50 + 36 + 41 + 9)
    assert entry.validation_units(model(params)) == 42
