import pytest
import torch
from small_trainings import network, split

from robustfront import attacks
from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Validation
from robustfront.training.judge import BATCH, judge

ATTACKED = Validation.model_validate(
    {"threat": {"eps": 0.1}, "attack": {"steps": 3, "step_size": 0.05, "start": "none"}}
)


def expected(model, x, y, name) -> dict[str, float]:
    with torch.no_grad():
        logits = model(x)
    return {
        f"validation_{name}_loss": torch.nn.functional.cross_entropy(logits, y).item(),
        f"validation_{name}_accuracy": (logits.argmax(1) == y).double().mean().item(),
    }


def test_losses_and_accuracies_of_all_images(monkeypatch) -> None:
    model, data = network(), split(50, 3)
    model.train()
    x = data.images / 255
    found = judge(model, data, ATTACKED, PartGenerator())
    assert model.training
    model.eval()
    ball = attacks.Ball.of(ATTACKED.threat, model.mean, model.std)
    x_adv = attacks.pgd(model, x, data.labels, ball, ATTACKED.attack)
    assert found == pytest.approx(
        expected(model, x, data.labels, "clean") | expected(model, x_adv, data.labels, "adversarial"),
        rel=1e-5,
    )
    assert found["validation_adversarial_loss"] > found["validation_clean_loss"]
    assert (
        judge(model, data, Validation(), PartGenerator()).keys()
        == expected(model, x, data.labels, "clean").keys()
    )
    assert not model.training


def test_batches_cover_the_split(monkeypatch) -> None:
    model, data = network(), split(BATCH + 7, 3)
    sizes = []
    model.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    judge(model, data, Validation(), PartGenerator())
    assert sizes == [BATCH, 7]


def test_running_statistics_stay() -> None:
    model = network()
    before = model.norm.running_mean.clone()
    judge(model, split(20, 3), ATTACKED, PartGenerator())
    assert torch.equal(model.norm.running_mean, before)
