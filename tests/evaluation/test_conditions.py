"""A network that is told a number, attacked at one and judged at others; it is a linear model at each."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from robustfront.attacks import Ball, pgd
from robustfront.attacks.draws import ByPosition
from robustfront.config.evaluations import Evaluation
from robustfront.data.store import Split
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.outcomes import Evaluated
from robustfront.evaluation.subject import Subject
from robustfront.models.conditional import Conditional
from toy_models import NORMALISATION, Linear, random_images, random_linear

SHAPE, IMAGES = (3, 6, 6), 60
PGD = {"kind": "pgd", "steps": 6, "step_size": 0.02}
AUTOATTACK = {"kind": "autoattack"}
CLEAN, MASKING = {"kind": "clean"}, {"kind": "masking"}

pytestmark = pytest.mark.usefixtures("small_budget")


class Told(Conditional):
    """Logits (W (1 + c s)) (x - mean) / std + b, with a slope s for each pixel."""

    usual = 0.5

    def __init__(self) -> None:
        super().__init__(NORMALISATION)
        self.base = random_linear(5, SHAPE, norm=2.0)
        self.slopes = torch.linspace(-2, 2, 108)
        self.head = nn.Linear(108, 5)
        self.head.load_state_dict(self.base.head.state_dict())

    def features_given(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.normalise(x).flatten(1) * (1 + condition[:, None] * self.slopes)

    def at(self, condition: float) -> Linear:
        """What it is, told `condition`."""
        return Linear(self.base.head.weight.data * (1 + condition * self.slopes), self.base.head.bias.data)


@pytest.fixture
def model() -> Told:
    return Told()


@pytest.fixture
def split(model: Told) -> Split:
    images = (255 * random_images(IMAGES, SHAPE)).round().to(torch.uint8)
    labels = model.base(images / 255).argmax(1)
    return Split(images, labels, torch.arange(IMAGES))


def evaluation(attack: dict[str, Any] = PGD, **changes: Any) -> Evaluation:
    content = {"attack": attack, "threat": None if attack == CLEAN else {"eps": 0.02}, "batch_size": 16}
    return Evaluation.model_validate(content | changes)


def rows_of(found: Evaluated, outcome: str = "final") -> pd.DataFrame:
    assert found.rows is not None
    rows = found.rows[found.rows["outcome"] == outcome]
    return rows.drop(columns="outcome").reset_index(drop=True)


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("attack", [CLEAN, PGD, AUTOATTACK])
@pytest.mark.parametrize("condition", [None, 0.0, 1.0])
def test_it_is_attacked_and_judged_as_what_it_is_told(
    attack: dict[str, Any], condition: float | None, model: Told, split: Split
) -> None:
    told = model.usual if condition is None else condition
    ours = evaluate(Subject.of(model, split, "cpu"), evaluation(attack, condition=condition))
    theirs = evaluate(Subject.of(model.at(told), split, "cpu"), evaluation(attack))
    same(rows_of(ours), rows_of(theirs))
    assert rows_of(ours)["success"].any() or told == 0.0


def test_what_it_is_told_makes_a_difference(model: Told, split: Split) -> None:
    subject = Subject.of(model, split, "cpu")
    at_0, at_1 = (rows_of(evaluate(subject, evaluation(condition=c)))["prediction"] for c in (0.0, 1.0))
    assert (at_0 != at_1).sum() > 5


def test_made_at_one_and_judged_at_others(model: Told, split: Split) -> None:
    settings = evaluation(PGD | {"also": {"one": 1}}, condition=1.0, judged_at=[0.0, 0.5])
    assert settings.outcomes == ("final", "step-1", "given-0", "given-0.5")
    found = evaluate(Subject.of(model, split, "cpu"), settings)
    assert tuple(found.record["outcomes"]) == settings.outcomes
    plain = evaluate(Subject.of(model, split, "cpu"), evaluation(PGD | {"also": {"one": 1}}, condition=1.0))
    for outcome in ("final", "step-1"):
        same(rows_of(found, outcome), rows_of(plain, outcome))
    x, y = split.images / 255, split.labels
    x_adv = ascent(model.at(1.0), x, y)
    for condition in (0.0, 0.5):
        judge, rows = model.at(condition), rows_of(found, f"given-{condition:g}")
        wrong = (judge(x).argmax(1) != y).numpy()
        assert (rows["carried"] == wrong).all()
        fell = (judge(x_adv).argmax(1) != y).numpy()
        assert (rows["success"] == (fell | wrong)).all()
        loss = nn.functional.cross_entropy(judge(x_adv), y, reduction="none").detach().numpy()
        np.testing.assert_allclose(rows["loss"][~wrong], loss[~wrong], rtol=1e-2, atol=1e-3)
    at_home = evaluate(Subject.of(model, split, "cpu"), evaluation(condition=0.0))
    assert rows_of(found, "given-0")["success"].sum() < rows_of(at_home)["success"].sum()


def ascent(model: Linear, x: Tensor, y: Tensor) -> Tensor:
    """Where the attack of `evaluation` ends on a network that is told nothing."""
    settings = evaluation()
    ball = Ball.of(settings.threat, model.mean, model.std)
    return pgd(model, x, y, ball, settings.attack, generator=ByPosition(0, torch.arange(len(x))))


def test_an_image_that_is_misclassified_where_it_is_attacked_is_attacked_for_the_others(
    model: Told, split: Split
) -> None:
    """Else the attacker would leave alone what is right where it is judged."""
    found = evaluate(
        Subject.of(model, split, "cpu"), evaluation(condition=1.0, judged_at=[0.0], threat={"eps": 0.2})
    )
    carried = rows_of(found)["carried"]
    assert carried.sum() > 3
    there = rows_of(found, "given-0")[carried]
    assert not there["carried"].any()
    assert there["success"].mean() > 0.5


def test_the_checks_are_of_the_network_as_it_is_told(model: Told, split: Split) -> None:
    found = evaluate(Subject.of(model, split, "cpu"), evaluation(MASKING, condition=1.0))
    theirs = evaluate(Subject.of(model.at(1.0), split, "cpu"), evaluation(MASKING))
    assert [check["check"] for check in found.record["masking"]] == [
        check["check"] for check in theirs.record["masking"]
    ]
    shown = [record["masking"][2]["detail"] for record in (found.record, theirs.record)]
    assert shown[0] == shown[1]


def test_others_do_not_hear_it(model: Told, split: Split) -> None:
    plain = Subject.of(model.at(0.3), split, "cpu")
    same(rows_of(evaluate(plain, evaluation(condition=1.0))), rows_of(evaluate(plain, evaluation())))
