from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustfront.attacks import Ball
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.schema import Threat
from robustfront.evaluation import masking
from robustfront.evaluation.batches import ascend
from robustfront.evaluation.masking import of_model
from robustfront.evaluation.room import Room
from toy_models import Convolutional, Linear, Quantised, random_images, random_linear

SHAPE = (3, 8, 8)


def threat(norm: str = "linf", eps: float = 0.08, space: str = "normalised") -> Threat:
    return Threat.model_validate({"norm": norm, "eps": eps, "space": space})


def verdicts(
    model: Linear | Convolutional, threat: Threat, n: int = 100, shape: tuple[int, int, int] = SHAPE
) -> dict[str, dict[str, Any]]:
    x, positions = random_images(n, shape), torch.arange(n)
    model.eval()
    ball = Ball.of(threat, model.mean, model.std)
    found = of_model(model, x, model(x).argmax(1), positions, ball, seed=0, room=Room(64))
    return {verdict["check"]: verdict for verdict in found}


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.08), ("l2", 0.4)])
@pytest.mark.parametrize("space", ["pixel", "normalised"])
def test_an_honest_model_passes_everything(norm: str, eps: float, space: str) -> None:
    eps = eps if space == "normalised" else eps / 4
    found = verdicts(random_linear(5, SHAPE, norm=2.0), threat(norm, eps, space))
    assert len(found) == 5
    assert {check for check, verdict in found.items() if not verdict["passed"]} == set()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_model_without_gradients_is_caught_three_ways(norm: str) -> None:
    honest = random_linear(5, SHAPE, norm=2.0)
    masked = Quantised(honest.head.weight.data, honest.head.bias.data)
    found = verdicts(masked, threat(norm, 0.4 if norm == "linf" else 4.0))
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
    found = verdicts(Saturated(honest.head.weight.data, honest.head.bias.data), threat())
    assert not found["input gradients not zero"]["passed"]


def test_attacks_that_weaken_with_more_steps_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiring(
        model: Linear,
        x: Tensor,
        labels: Tensor,
        positions: Tensor,
        ball: Ball,
        attack: PGDEvaluation,
        **settings: Any,
    ) -> dict[str, Tensor]:
        found = ascend(model, x, labels, positions, ball, attack, **settings)
        return {"final": x} if attack.steps > 20 else found

    monkeypatch.setattr(masking, "ascend", tiring)
    found = verdicts(random_linear(5, SHAPE, norm=2.0), threat())
    failed = {check for check, verdict in found.items() if not verdict["passed"]}
    assert failed == {"more steps not weaker", "black-box not stronger than white-box"}
    assert "of 100 images 0 fell to PGD-50" in found["more steps not weaker"]["detail"]


def test_square_does_not_apply_to_images_lower_than_it_can_search() -> None:
    for height, norm, applies in ((4, "l2", False), (4, "linf", True), (5, "l2", True)):
        found = verdicts(random_linear(5, (3, height, 6)), threat(norm), 20, (3, height, 6))
        assert len(found) == 5
        black_box = found["black-box not stronger than white-box"]
        assert (black_box["passed"] is not None) == applies
        assert ("5 pixels in height or more for l2" in black_box["detail"]) != applies


def test_batch_statistics_are_named_and_end_the_checks() -> None:
    model = Convolutional()
    model.body[1] = nn.BatchNorm2d(8, track_running_stats=False)
    found = verdicts(model, threat())
    assert list(found) == ["no batch statistics at test time"]
    assert not found["no batch statistics at test time"]["passed"]
    assert "body.1" in found["no batch statistics at test time"]["detail"]
