"""APGD as a training attack against Algorithm 1 written out for one image."""

import math

import pytest
import torch
from torch import Tensor

from robustfront.attacks import Ball, objectives
from robustfront.attacks.adaptive import apgd, targeted_apgd
from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Threat
from robustfront.errors import ConfigError
from robustfront.models import Classifier
from toy_models import Convolutional, random_images

STEPS = 20
CLASSES = 6


def network(classes: int = CLASSES) -> Classifier:
    """In float64, steep, and far from linear."""
    torch.manual_seed(0)
    model = Convolutional(classes).double()
    model.body[0].weight.data *= 6
    model.head.weight.data *= 12
    return model.eval()


def ball(norm: str = "linf", eps: float = 0.02, space: str = "pixel") -> Ball:
    threat = Threat.model_validate({"norm": norm, "eps": eps, "space": space})
    one = torch.ones(1, 3, 1, 1, dtype=torch.float64)
    return Ball.of(threat, 0 * one, 0.5 * one)


def images(count: int) -> tuple[Tensor, Tensor]:
    """Of all classes by turns, so that most are classified wrongly."""
    return random_images(count, (3, 10, 10)).double(), torch.arange(count) % CLASSES


def drawn(norm: str, x: Tensor, seed: int = 0) -> Tensor:
    kind = torch.rand if norm == "linf" else torch.randn
    return kind(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


def algorithm_1(f, x: Tensor, start: Tensor, norm: str, eps: float) -> tuple[Tensor, float]:
    """Croce & Hein 2020, Algorithm 1, of one image (1, C, H, W); `f` is what it ascends.

    As in the authors' code the first step counts as a rise if it ends above 0, and condition 2 begins with
    the second checkpoint.
    """

    def projected(point: Tensor) -> Tensor:
        delta = point - x
        if norm == "linf":
            return (x + delta.clamp(-eps, eps)).clamp(0, 1)
        return (x + delta * min(1.0, eps / float(delta.norm()))).clamp(0, 1)

    def at(point: Tensor) -> tuple[float, Tensor]:
        leaf = point.detach().requires_grad_()
        value = f(leaf)
        return value.item(), torch.autograd.grad(value, leaf)[0]

    def ascended(point: Tensor, gradient: Tensor) -> Tensor:
        direction = gradient.sign() if norm == "linf" else gradient / gradient.norm()
        return projected(point + eta * direction)

    eta, now, before = 2 * eps, start, start
    value, gradient = at(start)
    best = (value, start, gradient)
    last, rises, period, since, old = 0.0, 0, max(int(0.22 * STEPS), 1), 0, (value, True)
    for step in range(STEPS):
        z, alpha = ascended(now, gradient), 0.75 if step else 1.0
        now, before = projected(now + alpha * (z - now) + (1 - alpha) * (now - before)), now
        value, gradient = at(now)
        rises, last = rises + (value > last), value
        if value > best[0]:
            best = (value, now, gradient)
        since += 1
        if since == period:
            halved = rises <= 0.75 * period or (not old[1] and old[0] >= best[0])
            if halved:
                eta, now, gradient = eta / 2, best[1], best[2]
            old, rises, since = (best[0], halved), 0, 0
            period = max(period - max(int(0.03 * STEPS), 1), int(0.06 * STEPS), 1)
    return best[1], best[0]


def start(x: Tensor, noise: Tensor, norm: str, eps: float) -> Tensor:
    noise = 2 * noise - 1 if norm == "linf" else noise
    length = noise.abs().amax() if norm == "linf" else noise.norm()
    return (x + eps * noise / length).clamp(0, 1)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.02), ("l2", 0.2)])
@pytest.mark.parametrize("objective", [objectives.ce, objectives.dlr])
def test_every_image_is_that_of_the_algorithm(norm: str, eps: float, objective) -> None:
    model, (x, y) = network(), images(8)
    found = apgd(
        model,
        x,
        y,
        ball(norm, eps),
        steps=STEPS,
        objective=objective,
        generator=torch.Generator().manual_seed(0),
    )
    noise = drawn(norm, x)
    for i in range(len(x)):
        one, label = x[i : i + 1], y[i : i + 1]
        begun = start(one, noise[i : i + 1], norm, eps)
        expected, _ = algorithm_1(
            lambda p, label=label: objective(model(p), label).sum(), one, begun, norm, eps
        )
        torch.testing.assert_close(found[i : i + 1], expected, rtol=0, atol=1e-9)


def test_the_targeted_attack_keeps_the_worst_of_the_likeliest_wrong_classes() -> None:
    model, (x, y) = network(), images(4)
    found = targeted_apgd(
        model, x, y, ball(), steps=STEPS, targets=3, generator=torch.Generator().manual_seed(0)
    )
    generator = torch.Generator().manual_seed(0)
    noises = [torch.rand(x.shape, generator=generator, dtype=x.dtype) for _ in range(3)]
    for i in range(len(x)):
        one, label = x[i : i + 1], int(y[i])
        order = [k for k in model(one)[0].argsort(descending=True).tolist() if k != label]
        best, largest = one, -math.inf
        for noise, target in zip(noises, order[:3], strict=True):

            def towards(point: Tensor, target: int = target, label: int = label) -> Tensor:
                z = model(point)[0]
                first, _, third, fourth = z.sort(descending=True).values[:4]
                return (z[target] - z[label]) / (first - (third + fourth) / 2)

            begun = start(one, noise[i : i + 1], "linf", 0.02)
            x_adv, value = algorithm_1(towards, one, begun, "linf", 0.02)
            if value > largest:
                best, largest = x_adv, value
        torch.testing.assert_close(found[i : i + 1], best, rtol=0, atol=1e-9)


def test_a_part_of_a_batch_is_attacked_as_in_the_batch() -> None:
    model, (x, y) = network(), images(8)

    def attacked(rows: slice) -> Tensor:
        generator = PartGenerator()
        generator.manual_seed(0)
        return targeted_apgd(
            model, x[rows], y[rows], ball(), steps=5, targets=9, generator=generator.take(rows, len(x))
        )

    parts = torch.cat([attacked(slice(0, 3)), attacked(slice(3, 8))])
    torch.testing.assert_close(parts, attacked(slice(0, 8)), rtol=0, atol=1e-12)


def test_weights_have_no_gradients_and_may_have_them_afterwards() -> None:
    model, (x, y) = network(), images(4)
    apgd(model, x, y, ball(), steps=3, objective=objectives.ce)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_what_it_cannot_attack_is_told() -> None:
    model, (x, y) = network(), images(4)
    with pytest.raises(ValueError, match="one radius for all pixels, and the ball is in space 'normalised'"):
        apgd(model, x, y, ball(space="normalised"), steps=3, objective=objectives.ce)
    with pytest.raises(ConfigError, match="needs 4 classes or more, not 3"):
        targeted_apgd(network(3), x, y % 3, ball(), steps=3, targets=9)
