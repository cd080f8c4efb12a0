import pytest
import torch
from small_trainings import batchwise, network, split

from robustfront import attacks
from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Validation
from robustfront.training import judge as module
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


def test_a_network_that_looks_at_batches_is_judged_in_whole_ones(monkeypatch) -> None:
    monkeypatch.setattr(module, "BATCH", 20)
    model, data = batchwise(), split(50, 3)
    found = judge(model, data, ATTACKED, PartGenerator())
    model.eval()
    ball = attacks.Ball.of(ATTACKED.threat, model.mean, model.std)
    parts = []
    for batch, counted in (([*range(20)], 20), ([*range(20, 40)], 20), ([*range(40, 50), *range(10)], 10)):
        x, y = data.images[batch] / 255, data.labels[batch]
        x_adv = attacks.pgd(model, x, y, ball, ATTACKED.attack)
        with torch.no_grad():
            parts.append((model(x)[:counted], model(x_adv)[:counted], y[:counted]))
    clean, adversarial, y = map(torch.cat, zip(*parts, strict=True))
    for name, logits in (("clean", clean), ("adversarial", adversarial)):
        loss = torch.nn.functional.cross_entropy(logits, y).item()
        assert found[f"validation_{name}_loss"] == pytest.approx(loss, rel=1e-4)
        accuracy = (logits.argmax(1) == y).double().mean().item()
        assert found[f"validation_{name}_accuracy"] == pytest.approx(accuracy)


def test_running_statistics_stay() -> None:
    model = network()
    before = model.norm.running_mean.clone()
    judge(model, split(20, 3), ATTACKED, PartGenerator())
    assert torch.equal(model.norm.running_mean, before)


def test_attacks_beside_are_logged_in_columns_of_their_own() -> None:
    model, data = network(), split(50, 3)
    one = {"steps": 1, "step_size": 0.1, "start": "none"}
    both = Validation.model_validate(ATTACKED.model_dump() | {"beside": {"fgsm": one}})
    found = judge(model, data, both, PartGenerator())
    alone = Validation.model_validate(ATTACKED.model_dump() | {"attack": one})
    as_one = judge(model, data, alone, PartGenerator())
    assert found["validation_fgsm_accuracy"] == as_one["validation_adversarial_accuracy"]
    assert found["validation_fgsm_loss"] == as_one["validation_adversarial_loss"]
    assert {key: found[key] for key in as_one} == judge(model, data, ATTACKED, PartGenerator())
    for wrong in ({"beside": {"fgsm": one}}, ATTACKED.model_dump() | {"beside": {"clean": one}}):
        with pytest.raises(ValueError, match="beside"):
            Validation.model_validate(wrong)
