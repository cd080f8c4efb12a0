"""What holds of every attack that ships: the network is as it was, and x' is judged alike in any company."""

import hashlib
from typing import Any

import pytest
import torch
from torch import nn

from robustfront.config.attacks import EvaluationAttack, attacks
from robustfront.config.evaluations import Evaluation
from robustfront.data.store import Split
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.subject import Subject
from robustfront.models import Classifier
from toy_models import Convolutional, random_images

SHAPE = (3, 6, 6)
SHORT: dict[str, dict[str, Any]] = {
    "apgd": {"steps": 4},
    "autoattack": {"version": "apgd", "engine": "fast"},
    "cw": {"steps": 4, "lr": 0.05, "c": 10.0},
    "fab": {"steps": 4},
    "gama": {"steps": 4, "step_size": 0.1, "drops": [2, 3]},
    "mifgsm": {"steps": 4, "step_size": 0.02},
    "pgd": {"steps": 4, "step_size": 0.02},
    "square": {"queries": 20},
}
NONE_MADE = {"clean", "masking"}
"""Evaluations that leave no x'."""


def digest(model: nn.Module) -> str:
    found = hashlib.sha256()
    for name, values in model.state_dict().items():
        found.update(name.encode() + values.numpy().tobytes())
    return found.hexdigest()


@pytest.fixture
def subject() -> Subject:
    """With batch norm, whose statistics an attack in train mode would move."""
    torch.manual_seed(0)
    model = Convolutional(6)
    model.body[1].running_var.uniform_(0.5, 1.5)
    model.head.weight.data *= 12
    model.eval()
    images = (255 * random_images(24, SHAPE)).round().to(torch.uint8)
    labels = model(images / 255).argmax(1)
    return Subject.of(model, Split(images, labels, torch.arange(24)), "cpu")


def test_the_list_is_whole() -> None:
    """An attack that is new needs its line here."""
    assert SHORT.keys() >= attacks.entries.keys() - NONE_MADE


@pytest.mark.parametrize("kind", sorted(SHORT.keys() & attacks.entries.keys()))
@pytest.mark.usefixtures("small_budget")
def test_the_network_is_untouched_and_verdicts_are_those_of_any_batch(kind: str, subject: Subject) -> None:
    model: Classifier = subject.model
    before, wants = digest(model), [weight.requires_grad for weight in model.parameters()]
    attack = EvaluationAttack.model_validate({"kind": kind} | SHORT[kind])
    evaluation = Evaluation.model_validate(
        {"attack": attack.model_dump(), "threat": {"eps": 0.1, "space": "pixel"}, "batch_size": 7}
    )
    found = evaluate(subject, evaluation)
    assert digest(model) == before
    assert [weight.requires_grad for weight in model.parameters()] == wants
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module.training for module in model.modules())

    assert found.rows is not None
    rows = found.rows[found.rows["outcome"] == "final"].set_index("sample")
    kept = torch.from_numpy(found.images["final"])
    recorded = rows["prediction"][found.images["samples"].tolist()].tolist()
    for size in (1, 3, 8):  # x' of eight images are kept with each evaluation
        judged = torch.cat([model(part).argmax(1) for part in kept.split(size)])
        assert judged.tolist() == recorded
