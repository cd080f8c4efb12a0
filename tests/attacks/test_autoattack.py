import logging
import sys
from collections.abc import Iterator
from typing import Any

import pyautoattack
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from robustfront.attacks import Ball
from robustfront.attacks.autoattack import autoattack, square
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.images import Normalisation
from robustfront.config.schema import Threat
from robustfront.errors import ConfigError
from robustfront.models.batch_norm import batch_statistics_layers
from small_autoattack import limit
from toy_models import Convolutional, Linear, random_images, random_linear

SHAPE = (3, 6, 6)
STANDARD = {"attack": AutoAttackEvaluation(), "seed": 0, "batch_size": 16}


FAST = STANDARD | {"attack": AutoAttackEvaluation(engine="fast")}
FAST_BF16 = STANDARD | {"attack": AutoAttackEvaluation(engine="fast-bf16")}
each_engine = pytest.mark.parametrize(
    "settings", [STANDARD, FAST, FAST_BF16], ids=["reference", "fast", "bf16"]
)


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoAttack with 8 steps and 20 queries, for tests that do not depend on its strength."""
    limit(monkeypatch, steps=8, queries=20)


def ball_of(model: nn.Module, norm: str = "linf", space: str = "normalised", eps: float = 0.05) -> Ball:
    threat = Threat.model_validate({"norm": norm, "eps": eps, "space": space})
    return Ball.of(threat, model.mean, model.std)


def classified(model: nn.Module, n: int) -> tuple[Tensor, Tensor]:
    """Images with a third of black and white pixels, and the model's own predictions as labels."""
    x = (1.5 * random_images(n, SHAPE) - 0.25).clamp(0, 1)
    return x, model(x).argmax(1)


def trained() -> tuple[Convolutional, Tensor, Tensor]:
    """A network that tells apart six noisy textures, and 24 images that it classifies correctly."""
    torch.manual_seed(0)
    textures = torch.rand(6, *SHAPE)
    model = Convolutional(6).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        y = torch.randint(6, (64,))
        x = (0.3 * textures[y] + 0.35 + 0.2 * torch.randn(64, *SHAPE)).clamp(0, 1)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    correct = model(x).argmax(1) == y
    return model, x[correct][:24], y[correct][:24]


def linear(classes: int = 5) -> Linear:
    return random_linear(classes, SHAPE, norm=2.0).eval()


@each_engine
@pytest.mark.parametrize("space", ["pixel", "normalised"])
def test_verdicts_on_a_linear_model_are_those_of_the_closed_form(
    small_budget: None, space: str, settings: dict[str, Any]
) -> None:
    model = linear()
    x, y = classified(model, 96)
    ball = ball_of(model, space=space, eps=0.08 if space == "normalised" else 0.02)
    worst = model.worst_margin(x, y, ball.threat.eps * ball.scale)
    decided = worst.abs() > 1e-3
    x_adv = autoattack(model, x, y, ball, **settings)
    fell = model(x_adv).argmax(1) != y
    assert torch.equal(fell[decided], (worst > 0)[decided])
    assert 20 < fell.sum() < 76
    assert ball.contains(x_adv, x).all()
    assert torch.equal(x_adv[~fell], x[~fell])


@each_engine
def test_l2_verdicts_in_normalised_space_are_those_of_the_closed_form(
    small_budget: None, settings: dict[str, Any]
) -> None:
    model = linear()
    x, y = classified(model, 64)
    x = 0.5 + 0.2 * (x - 0.5)  # so far from the box that it is never met
    y = model(x).argmax(1)
    ball = ball_of(model, "l2", eps=0.25)
    slopes = model.head.weight[None] - model.head.weight[y][:, None]  # dz/dx * scale = the weight itself
    worst = (model(x) - model(x).gather(1, y[:, None]) + 0.25 * slopes.norm(dim=2)).scatter(
        1, y[:, None], -9.0
    )
    worst = worst.amax(dim=1)
    x_adv = autoattack(model, x, y, ball, **settings)
    fell = model(x_adv).argmax(1) != y
    decided = worst.abs() > 1e-3
    assert torch.equal(fell[decided], (worst > 0)[decided])
    assert 12 < fell.sum() < 52
    assert ball.contains(x_adv, x).all()


def test_normalised_space_with_equal_deviations_is_pixel_space_with_eps_times_them(
    small_budget: None,
) -> None:
    model = linear()
    grey = Linear(model.head.weight, model.head.bias, Normalisation(mean=(0.5,) * 3, std=(0.25,) * 3)).eval()
    x, y = classified(grey, 24)
    scaled = autoattack(grey, x, y, ball_of(grey, eps=0.08), **STANDARD)
    pixel = autoattack(grey, x, y, ball_of(grey, space="pixel", eps=0.02), **STANDARD)
    assert torch.equal(scaled, pixel)
    assert not torch.equal(scaled, x)


def test_pixel_space_is_the_authors_code_bit_by_bit(small_budget: None) -> None:
    model = linear(12)
    x, y = classified(model, 24)
    reference = pyautoattack.AutoAttack(model, eps=0.02, seed=0, version="standard")
    reference.verbose = False
    expected, _ = reference.run_standard_evaluation(x, y, batch_size=16)
    assert torch.equal(autoattack(model, x, y, ball_of(model, space="pixel", eps=0.02), **STANDARD), expected)


@each_engine
def test_standard_budget(capfd: pytest.CaptureFixture[str], settings: dict[str, Any]) -> None:
    model = linear(4)
    x, y = classified(model, 4)
    radius = model.worst_margin(x, y, torch.zeros_like(model.std))  # the margins; all negative
    assert (radius < 0).all()
    ball = ball_of(model, eps=0.03)
    x_adv = autoattack(model, x, y, ball, **settings)
    worst = model.worst_margin(x, y, 0.03 * ball.scale)
    assert torch.equal(model(x_adv).argmax(1) != y, worst > 0)
    assert (worst < 0).any()  # so that every part of the attack ran
    assert capfd.readouterr() == ("", "")


@each_engine
def test_seed_decides_and_nothing_outside_is_touched(small_budget: None, settings: dict[str, Any]) -> None:
    model = linear()
    x, y = classified(model, 16)
    ball = ball_of(model, "l2", eps=0.5)  # in l2 eight steps end short of the optimum, at a point of chance
    torch.manual_seed(11)
    state, logger = torch.get_rng_state(), logging.getLogger("auto-attack")

    def trace(frame: object, event: str, argument: object) -> None:
        return None

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        first = autoattack(model, x, y, ball, **settings)
        kept = sys.gettrace()
    finally:
        sys.settrace(previous)
    assert kept is trace
    assert torch.equal(torch.get_rng_state(), state)
    assert not logger.disabled
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    torch.manual_seed(12)
    assert torch.equal(autoattack(model, x, y, ball, **settings), first)
    assert not torch.equal(autoattack(model, x, y, ball, **settings | {"seed": 1}), first)


@pytest.mark.parametrize("version", ["standard", "plus", "rand", "apgd", "v1"])
@pytest.mark.parametrize("n", [0, 1, 17])
def test_any_version_takes_any_number_of_images(small_budget: None, version: str, n: int) -> None:
    model = linear(4)
    x, y = classified(model, n)
    x_adv = autoattack(
        model, x, y, ball_of(model, eps=0.01), **STANDARD | {"attack": AutoAttackEvaluation(version=version)}
    )
    assert x_adv.shape == x.shape
    assert ball_of(model, eps=0.01).contains(x_adv, x).all()


@pytest.mark.parametrize("settings", [FAST, FAST_BF16], ids=["fast", "bf16"])
@pytest.mark.parametrize("n", [0, 1, 17])
def test_the_fast_engines_take_any_number_of_images(
    small_budget: None, settings: dict[str, Any], n: int
) -> None:
    model = linear(4)
    x, y = classified(model, n)
    x_adv = autoattack(model, x, y, ball_of(model, eps=0.01), **settings)
    assert x_adv.shape == x.shape
    assert ball_of(model, eps=0.01).contains(x_adv, x).all()


@pytest.mark.parametrize(
    ("engine", "version"), [("fast", "plus"), ("fast-bf16", "plus"), ("fast-bf16", "apgd")]
)
def test_the_fast_engines_have_few_versions(engine: str, version: str) -> None:
    with pytest.raises(ValidationError, match="set engine to 'reference'"):
        AutoAttackEvaluation.model_validate({"engine": engine, "version": version})


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_version_apgd_is_the_first_two_parts_of_standard(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """An independent count: the images that the parts of the whole ensemble had left after APGD-T."""
    limit(monkeypatch, steps=20, queries=60)
    model, x, y = trained()
    ball = ball_of(model, "linf", "pixel", 0.024)
    given: dict[str, dict[str, int]] = {}
    fell = {}
    for version in ("standard", "apgd"):
        heard = given.setdefault(version, {})
        settings = STANDARD | {"attack": AutoAttackEvaluation(engine=engine, version=version)}  # type: ignore[arg-type]
        x_adv = autoattack(
            model, x, y, ball, **settings, report=lambda part, _, n, to=heard: to.update({part: n})
        )
        fell[version] = int((model(x_adv).argmax(1) != y).sum())
    assert list(given["apgd"]) == ["apgd-ce", "apgd-t"]
    assert 0 < fell["apgd"] == len(x) - given["standard"]["fab-t"]


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.024), ("l2", 0.18)])
def test_engines_agree_on_every_image_of_a_trained_model(
    monkeypatch: pytest.MonkeyPatch, norm: str, eps: float
) -> None:
    limit(monkeypatch, steps=40, queries=100)
    model, x, y = trained()
    ball = ball_of(model, norm, "pixel", eps)
    fell = {}
    for name, settings in {"reference": STANDARD, "fast": FAST, "bf16": FAST_BF16}.items():
        x_adv = autoattack(model, x, y, ball, **settings)
        assert ball.contains(x_adv, x).all()
        fell[name] = model(x_adv).argmax(1) != y
        assert torch.equal(x_adv[~fell[name]], x[~fell[name]])
    assert 4 < fell["reference"].sum() < 20
    assert torch.equal(fell["fast"], fell["reference"])
    assert torch.equal(fell["bf16"], fell["reference"])


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.024), ("l2", 0.18)])
def test_version_1_fells_the_same_images_with_either_engine(
    monkeypatch: pytest.MonkeyPatch, norm: str, eps: float
) -> None:
    """And in the same parts: those that each of them is given are as many."""
    limit(monkeypatch, steps=10, queries=60)
    model, x, y = trained()
    ball = ball_of(model, norm, "pixel", eps)
    found, given = {}, {}
    for engine in ("reference", "fast"):
        heard: dict[str, int] = {}
        attack = AutoAttackEvaluation(engine=engine, version="v1")  # type: ignore[arg-type]
        settings = STANDARD | {"attack": attack, "batch_size": 24}
        found[engine] = autoattack(
            model, x, y, ball, **settings, report=lambda part, _, n, to=heard: to.update({part: n})
        )
        assert ball.contains(found[engine], x).all()
        given[engine] = heard
    assert list(given["fast"]) == ["apgd-ce", "apgd-dlr", "fab", "square"]
    assert given["fast"] == given["reference"]
    fell = {engine: model(x_adv).argmax(1) != y for engine, x_adv in found.items()}
    assert 4 < fell["fast"].sum() < 20
    assert torch.equal(fell["fast"], fell["reference"])


@each_engine
def test_progress_of_every_part_is_reported(small_budget: None, settings: dict[str, Any]) -> None:
    model = linear(5)
    x, y = classified(model, 24)
    heard: list[tuple[str, int, int]] = []
    autoattack(
        model, x, y, ball_of(model, eps=0.01), **settings, report=lambda *progress: heard.append(progress)
    )
    assert list(dict.fromkeys(part for part, _, _ in heard)) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert all(done <= given for _, done, given in heard)


@pytest.mark.parametrize("classes", [2, 3])
def test_too_few_classes_are_refused_with_an_alternative(classes: int) -> None:
    model = linear(classes)
    with pytest.raises(ConfigError, match=rf"4 classes or more, not {classes}: use 'pgd'"):
        autoattack(model, *classified(model, 4), ball_of(model), **STANDARD)


@each_engine
def test_images_lower_than_square_can_search_are_refused_with_an_alternative(
    small_budget: None, settings: dict[str, Any]
) -> None:
    model = random_linear(5, (3, 4, 6)).eval()
    x = random_images(8, (3, 4, 6))
    y = model(x).argmax(1)
    with pytest.raises(ConfigError, match=r"5 pixels in height or more for l2, not 4: use version 'apgd'"):
        autoattack(model, x, y, ball_of(model, "l2"), **settings)
    autoattack(model, x, y, ball_of(model, "linf"), **settings)


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_the_alternative_can_be_made_on_low_images(small_budget: None, engine: str) -> None:
    model = random_linear(5, (3, 1, 6)).eval()
    x = random_images(8, (3, 1, 6))
    attack = AutoAttackEvaluation(version="apgd", engine=engine)
    autoattack(model, x, model(x).argmax(1), ball_of(model, "l2"), **STANDARD | {"attack": attack})


def test_clip_to_the_normalised_unit_box_is_refused() -> None:
    model = linear()
    threat = Threat(eps=0.1, space="normalised", clip="normalised-unit")
    with pytest.raises(ConfigError, match="clip 'normalised-unit'"):
        autoattack(model, *classified(model, 4), Ball.of(threat, model.mean, model.std), **STANDARD)


def test_train_mode_is_refused() -> None:
    model = Convolutional().eval()
    model.body[1].train()
    with pytest.raises(ValueError, match="train mode"):
        autoattack(model, *classified(model.double().float(), 4), ball_of(model), **STANDARD)


def test_batch_norm_without_running_statistics_is_refused_by_name() -> None:
    model = Convolutional()
    model.body[1] = nn.BatchNorm2d(8, track_running_stats=False)
    model.eval()
    assert batch_statistics_layers(model) == ["body.1"]
    with pytest.raises(ConfigError, match=r"'body\.1' has no running statistics"):
        autoattack(model, *classified(model, 4), ball_of(model), **STANDARD)
    assert batch_statistics_layers(Convolutional()) == []


def test_autocast_does_not_reach_the_attack(small_budget: None) -> None:
    model = linear()
    x, y = classified(model, 8)
    expected = autoattack(model, x, y, ball_of(model), **STANDARD)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(autoattack(model, x, y, ball_of(model), **STANDARD), expected)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("n", [0, 1, 9])
def test_square_attack_stays_in_the_ball_and_needs_no_gradient(norm: str, n: int) -> None:
    model = linear(2)
    x, y = classified(model, n)
    ball = ball_of(model, norm, eps=0.3 if norm == "linf" else 2.0)
    x_adv = square(model, x, y, ball, queries=40, seed=0, batch_size=4)
    assert ball.contains(x_adv, x).all()
    assert torch.equal(square(model, x, y, ball, queries=40, seed=0, batch_size=4), x_adv)
    assert (model(x_adv).argmax(1) != y).sum() >= n // 3


@pytest.fixture(autouse=True)
def no_warnings_left() -> Iterator[None]:
    before = logging.getLogger("auto-attack").disabled
    yield
    assert logging.getLogger("auto-attack").disabled == before
