"""SCORE's published recipes, against its formulas written out in float64."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from moments import moment
from robustfront.config.identity import content, digest, restored
from robustfront.config.yaml_loader import load_yaml
from robustfront.methods import methods
from small_params import complaint, study_plan, tree, write

K = 4
Batch = tuple[Tensor, Tensor]


def moved(x: Tensor) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(9), dtype=x.dtype)
    return x + 0.05 * noise


def soft(y: Tensor, on_label: float) -> Tensor:
    """Rows of probabilities: so much on the label, the rest on the others in equal parts."""
    rows = torch.full((len(y), K), (1 - on_label) / (K - 1), dtype=torch.float64)
    rows[torch.arange(len(y)), y] = on_label
    return rows


def squares(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 2).sum(dim=1)


def formula(p: Tensor, q: Tensor, y: Tensor, params: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The loss of each image, and what of it is above 0 before it is clipped."""
    bound = squares(soft(y, 1 - params["clip"]), soft(y, 1.0))
    target = soft(y, 1 - params.get("label_smoothing", 0.0))
    if params.get("mode") == "pgd":
        above = squares(q, target) - bound
        return above.clamp(min=0), above
    if params["clipped"] == "sum":
        above = squares(p, target) + params["beta"] * squares(q, p) - bound
        return above.clamp(min=0), above
    above = squares(q, p) - bound
    return squares(p, target) + params["beta"] * above.clamp(min=0), above


RECIPES: list[dict[str, Any]] = [
    {"beta": 6.0, "clip": 0.8, "clipped": "sum"},
    {"beta": 6.0, "clip": 0.75, "clipped": "sum", "label_smoothing": 0.1},
    {"beta": 3.0, "clip": 0.1, "clipped": "distance", "label_smoothing": 0.1},
    {"mode": "pgd", "clip": 0.75},
    {"mode": "pgd", "clip": 0.55, "label_smoothing": 0.2},
]


@pytest.mark.parametrize("params", RECIPES)
def test_loss_and_gradients_are_those_of_the_formula(
    params: dict[str, Any], model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    x_adv = moved(x)
    weights = dict(model.named_parameters())
    p, q = (model(images).softmax(dim=1) for images in (x, x_adv))
    each, above = formula(p, q, y, params)
    assert 0 < (above > 0).sum() < len(y), "some images are clipped, and some are not"
    expected = torch.autograd.grad(each.mean(), list(weights.values()), allow_unused=True)
    method = make("score", **params)
    found = method.losses(x, x_adv, y, moment())
    assert found.total.item() == pytest.approx(each.mean().item(), rel=1e-12)
    method.combine(found, moment())
    for (name, weight), gradient in zip(weights.items(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=1e-12, msg=name)


def test_what_a_confident_network_has_reached_is_not_trained_on(
    model: nn.Module, batch: Batch, make: Any
) -> None:
    x, _ = batch
    with torch.no_grad():
        model.head.weight *= 1000
        model.head.bias *= 1000
    y = model(x).argmax(dim=1)
    method = make("score", mode="pgd", clip=0.4)
    losses = method.losses(x, x, y, moment())
    method.combine(losses, moment())
    reached = squares(model(x).softmax(dim=1), soft(y, 1.0)) < 0.16 * K / (K - 1)
    assert reached.all()
    assert losses.total.item() == 0
    assert all(not weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_attack_of_mode_pgd_ascends_the_distance_from_the_label(
    mode: str, model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    attack = {"steps": 3, "step_size": 0.02, "start": "none"}
    threat = {"eps": 0.05, "space": "pixel"}
    x_adv = make("score", mode="pgd", threat=threat, attack=attack, attack_mode=mode).craft(x, y, moment())
    model.train(mode == "train")
    expected = x
    for _ in range(3):
        leaf = expected.detach().requires_grad_()
        distance = squares(model(leaf).softmax(dim=1), soft(y, 1.0)).sum()
        (gradient,) = torch.autograd.grad(distance, leaf)
        expected = (x + (leaf + 0.02 * gradient.sign() - x).clamp(-0.05, 0.05)).clamp(0, 1)
    torch.testing.assert_close(x_adv, expected.detach(), rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------------------ parameters
THREAT: dict[str, Any] = {"threat": {"eps": 0.1}, "attack": {"steps": 3, "step_size": 0.1}}


def test_recipes_that_came_later_change_no_identity() -> None:
    kind = methods["score"].method.Params
    before = THREAT | {"beta": 1.5, "attack_mode": "eval"}
    clipped = THREAT["attack"] | {"clip_start": True}
    plain = kind.model_validate(THREAT | {"beta": 1.5, "attack": clipped})
    assert content(plain).keys() == before.keys()
    assert restored(kind, before) == plain
    others = [kind.model_validate(THREAT | params) for params in RECIPES]
    assert len({digest(content(one)) for one in (plain, *others)}) == len(RECIPES) + 1
    assert all(restored(kind, content(one)) == one for one in others)


def test_a_run_in_mode_pgd_is_called_so_and_costs_what_pgd_at_costs(tmp_path: Any) -> None:
    runs = {"score": {"method": "score", "mode": "pgd", "clip": 0.4}, "at": {"method": "pgd_at"}}
    plan = study_plan(write(tmp_path, tree(runs=runs)))
    assert [run.id.rpartition("-s0-")[0] for run in plan.runs.values()] == [
        "digits-score-pgd",
        "digits-pgd-at",
    ]
    score, at = (methods[name].method for name in ("score", "pgd_at"))
    params = score.Params.model_validate(THREAT | {"mode": "pgd"})
    assert score.units(params) == at.units(at.Params.model_validate(THREAT)) == 2 * 3 + 3


def test_the_runs_of_the_documentation_are_planned(project: Path, tmp_path: Path) -> None:
    page = (project / "docs" / "reproduction" / "score.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    runs = load_yaml(tmp_path / "example.yaml")["runs"]
    planned = {run.names[0]: run.config for run in study_plan(write(tmp_path, tree(runs=runs))).runs.values()}
    assert {name: run.params["clip"] for name, run in planned.items()} == {
        "score-trades": 0.3,
        "score-pgd": 0.4,
    }
    assert {run.training.epochs for run in planned.values()} == {110}
    assert {
        name: (run.params["attack"]["start"], run.params["attack_mode"]) for name, run in planned.items()
    } == {
        "score-trades": ("gaussian", "eval"),
        "score-pgd": ("uniform", "train"),
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "beta: missing; mode 'trades' needs the weight of its second term"),
        ({"mode": "pgd", "beta": 1.5}, "beta: mode 'pgd' has one term, the adversarial error; remove it"),
        ({"mode": "pgd", "clip": 0.4, "clipped": "sum"}, "clipped: mode 'pgd' has one term, the adversarial"),
        ({"beta": 6, "clip": 0.3}, "clipped: missing; say of what clip = 0.3 is: 'sum', SCORE's own"),
        ({"beta": 6, "clipped": "sum"}, "clipped = 'sum': nothing is clipped while clip is 0"),
    ],
)
def test_settings_without_an_effect_are_refused(params: dict[str, Any], message: str, tmp_path: Any) -> None:
    runs = {"score": {"method": "score"} | params}
    assert complaint(write(tmp_path, tree(runs=runs))).startswith(f"runs.score: {message}")


def test_shares_are_below_one(tmp_path: Any) -> None:
    runs = {"score": {"method": "score", "mode": "pgd", "clip": 1.0, "label_smoothing": -0.1}}
    assert complaint(write(tmp_path, tree(runs=runs))).splitlines() == [
        "runs.score.label_smoothing = -0.1: must be greater than or equal to 0",
        "runs.score.clip = 1.0: must be less than 1",
    ]
