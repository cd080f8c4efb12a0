"""What users hand to AutoAttack: taken as meant, or refused in words of ours."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustfront.attacks import Ball
from robustfront.attacks.autoattack import autoattack, square
from robustfront.attacks.boundary import accepted
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.schema import Threat
from robustfront.errors import ArtefactError, DataError
from small_autoattack import limit
from toy_models import random_images, random_linear

SHAPE = (3, 6, 6)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    limit(monkeypatch, steps=4, queries=10)
    return random_linear(5, SHAPE, norm=2.0).eval()


@pytest.fixture
def images(model: nn.Module) -> tuple[Tensor, Tensor]:
    x = random_images(6, SHAPE)
    return x, model(x).argmax(1)


def attacked(model: nn.Module, x: Tensor, y: Tensor, engine: str) -> Tensor:
    ball = Ball.of(Threat(norm="linf", eps=0.1, space="pixel"), model.mean, model.std)
    attack = AutoAttackEvaluation(engine=engine)
    return autoattack(model, x, y, ball, attack=attack, seed=0, batch_size=4)


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.int16])
def test_any_whole_labels_and_any_layout_of_images_are_attacked_alike(
    model: nn.Module, images: tuple[Tensor, Tensor], engine: str, kind: torch.dtype
) -> None:
    x, y = images
    expected = attacked(model, x, y, engine)
    assert (expected != x).any()
    strided = torch.from_numpy(np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
    assert not strided.is_contiguous()
    assert torch.equal(attacked(model, strided, y.to(kind), engine), expected)
    assert torch.equal(attacked(model, x.double(), y.to(kind), engine), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: ((255 * x).byte(), y), "divide them by 255"),
        (lambda x, y: (x[0], y[:1]), r"images are float32 \(3, 6, 6\)"),
        (lambda x, y: (4 * x - 2, y), "not normalised"),
        (lambda x, y: (torch.full_like(x, torch.nan), y), "values from nan"),
        (lambda x, y: (x, y.float()), r"labels are float32 \(6,\)"),
        (lambda x, y: (x, torch.nn.functional.one_hot(y)), "expected 6 whole numbers"),
        (lambda x, y: (x, y + 5), "the network has 5 classes"),
        (lambda x, y: (x, y - 5), "the network has 5 classes"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    model: nn.Module, images: tuple[Tensor, Tensor], change: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        attacked(model, *change(*images), "fast")


def test_no_images_are_no_mistake() -> None:
    x, y = accepted(torch.zeros(0, *SHAPE, dtype=torch.double), torch.zeros(0, dtype=torch.int32), 5)
    assert (x.dtype, y.dtype, len(x)) == (torch.float32, torch.int64, 0)


def test_weights_that_are_no_numbers_are_not_robust(model: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        model.head.weight[0, 0] = torch.nan
    ball = Ball.of(Threat(norm="linf", eps=0.1, space="pixel"), model.mean, model.std)
    with pytest.raises(ArtefactError, match=r"head\.weight holds values that are no finite numbers"):
        attacked(model, *images, "reference")
    with pytest.raises(ArtefactError, match="no finite numbers"):
        square(model, *images, ball, queries=5, seed=0, batch_size=4)
