from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import Tensor, nn

from robustfront.attacks import Ball
from robustfront.config.schema import PGDEvaluation, Suite
from robustfront.evaluation import masking
from robustfront.evaluation.batches import ascend
from robustfront.evaluation.masking import of_model, of_rows
from toy_models import Convolutional, Linear, Quantised, random_images, random_linear

SHAPE = (3, 8, 8)
ATTACKS = {
    "pgd": {"kind": "pgd", "steps": 20, "step_size": 0.01},
    "aa": {"kind": "autoattack"},
}


def suite(norm: str = "linf", eps: float = 0.08, space: str = "normalised") -> Suite:
    threat = {"norm": norm, "eps": eps, "space": space}
    return Suite.model_validate({"name": "toy", "threat": threat, "attacks": ATTACKS, "batch_size": 64})


def verdicts(model: Linear | Convolutional, suite: Suite, n: int = 100) -> dict[str, dict[str, Any]]:
    x = random_images(n, SHAPE)
    model.eval()
    ball = Ball.of(suite.threat, model.mean, model.std)
    return {v["check"]: v for v in of_model(model, x, model(x).argmax(1), ball, suite)}


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.08), ("l2", 0.4)])
@pytest.mark.parametrize("space", ["pixel", "normalised"])
def test_an_honest_model_passes_everything(norm: str, eps: float, space: str) -> None:
    eps = eps if space == "normalised" else eps / 4
    found = verdicts(random_linear(5, SHAPE, norm=2.0), suite(norm, eps, space))
    assert len(found) == 5
    assert {check for check, verdict in found.items() if not verdict["passed"]} == set()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_model_without_gradients_is_caught_three_ways(norm: str) -> None:
    honest = random_linear(5, SHAPE, norm=2.0)
    masked = Quantised(honest.head.weight.data, honest.head.bias.data)
    found = verdicts(masked, suite(norm, 0.4 if norm == "linf" else 4.0))
    failed = {check for check, verdict in found.items() if not verdict["passed"]}
    assert failed == {
        "input gradients not zero",
        "black-box not stronger than white-box",
        "robust accuracy falls to 0 as eps grows",
    }
    assert "100.0% of 100 images" in found["input gradients not zero"]["detail"]


def test_a_model_whose_logits_saturate_is_caught() -> None:
    class Saturated(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 1e4 * super().forward(x)

    honest = random_linear(5, SHAPE, norm=2.0)
    found = verdicts(Saturated(honest.head.weight.data, honest.head.bias.data), suite())
    assert not found["input gradients not zero"]["passed"]


def test_attacks_that_weaken_with_more_steps_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiring(
        model: Linear, x: Tensor, labels: Tensor, ball: Ball, attack: PGDEvaluation, **settings: int
    ) -> Tensor:
        return x if attack.steps > 20 else ascend(model, x, labels, ball, attack, **settings)

    monkeypatch.setattr(masking, "ascend", tiring)
    found = verdicts(random_linear(5, SHAPE, norm=2.0), suite())
    failed = {check for check, verdict in found.items() if not verdict["passed"]}
    assert failed == {"more steps not weaker", "black-box not stronger than white-box"}
    assert "of 100 images 0 fell to PGD-50" in found["more steps not weaker"]["detail"]


def test_batch_statistics_are_named_and_end_the_checks() -> None:
    model = Convolutional()
    model.body[1] = nn.BatchNorm2d(8, track_running_stats=False)
    found = verdicts(model, suite())
    assert list(found) == ["no batch statistics at test time"]
    assert not found["no batch statistics at test time"]["passed"]
    assert "body.1" in found["no batch statistics at test time"]["detail"]


def rows_of(pgd: list[bool], autoattack: list[bool]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"sample": np.arange(len(fell)), "attack": name, "success": fell})
        for name, fell in (("pgd", pgd), ("aa", autoattack))
    ]
    return pd.concat(parts)


@pytest.mark.parametrize(
    ("only_pgd", "only_aa", "n", "passed"),
    [
        (0, 0, 100, True),
        (0, 30, 100, True),
        (6, 0, 100, True),  # p = 1/64: may be luck
        (7, 0, 100, False),  # p = 1/128
        (20, 15, 100, True),
        (15, 0, 10_000, True),  # sure, but no more than 0.2 points
        (25, 0, 10_000, False),
    ],
)
def test_autoattack_above_pgd_fails_beyond_luck_and_tolerance(
    only_pgd: int, only_aa: int, n: int, passed: bool
) -> None:
    rest = n - only_pgd - only_aa
    pgd = [True] * only_pgd + [False] * (only_aa + rest)
    autoattack = [False] * only_pgd + [True] * only_aa + [False] * rest
    (verdict,) = of_rows(rows_of(pgd, autoattack), suite())
    assert verdict["check"] == "AutoAttack not above PGD"
    assert verdict["passed"] is passed
    assert f"of {n} images {only_aa} fell to aa, {only_pgd} to pgd" in verdict["detail"]


def test_attacks_are_compared_on_the_images_both_saw() -> None:
    (verdict,) = of_rows(rows_of([True] * 50, [True] * 20), suite())
    assert verdict["passed"]
    assert "of 20 images 20 fell to aa, 20 to pgd" in verdict["detail"]
