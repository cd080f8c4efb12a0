"""Networks that normalise by the batch, evaluated in whole batches, against loops written out here."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from robustfront.attacks.engine import Attack, Runner
from robustfront.config.evaluations import Evaluation
from robustfront.data.splits import stratified_order
from robustfront.data.store import Split
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.memory import Memory
from robustfront.evaluation.outcomes import Evaluated
from robustfront.evaluation.subject import Subject
from toy_models import NORMALISATION, Convolutional, random_images

SHAPE, IMAGES, SIZE, EPS = (3, 6, 6), 70, 16, 0.06
PGD = {"kind": "pgd", "steps": 4, "step_size": 0.03, "start": "none"}
AUTOATTACK = {"kind": "autoattack"}
CLEAN, MASKING = {"kind": "clean"}, {"kind": "masking"}

pytestmark = pytest.mark.usefixtures("small_budget")


class Batchwise(Convolutional):
    """Without running statistics; notes the sizes of the batches that it sees."""

    def __init__(self) -> None:
        super().__init__(5, NORMALISATION)
        self.body[1] = nn.BatchNorm2d(8, track_running_stats=False)
        self.head.weight.data *= 8
        self.sizes: list[int] = []

    def features(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return super().features(x)


class Blind(Batchwise):
    """Pixels are rounded first, so that no gradient comes through."""

    def features(self, x: Tensor) -> Tensor:
        return super().features((x * 7).round() / 7)


def subject_of(model: Batchwise) -> Subject:
    """70 images; the labels are the model's answers to all at once, wrong on every seventh."""
    images = (255 * random_images(IMAGES, SHAPE)).round().to(torch.uint8)
    labels = model.eval()(images / 255).argmax(1)
    labels[::7] = (labels[::7] + 1) % 5
    model.sizes.clear()
    return Subject.of(model, Split(images, labels, torch.arange(IMAGES)), "cpu")


@pytest.fixture
def subject() -> Subject:
    torch.manual_seed(3)
    return subject_of(Batchwise())


def evaluation(attack: dict[str, Any] = PGD, **changes: Any) -> Evaluation:
    content = {"attack": attack, "threat": None if attack == CLEAN else {"eps": EPS}, "batch_size": SIZE}
    return Evaluation.model_validate(content | {"whole_batches": True} | changes)


def rows_of(found: Evaluated) -> pd.DataFrame:
    assert found.rows is not None
    return found.rows.set_index("sample")


def batches(labels: Tensor, images: int = IMAGES, size: int = SIZE, seed: int = 0) -> list[list[int]]:
    """Positions of the images of each batch."""
    order = stratified_order(labels.numpy(), seed)[:images].tolist()
    return [(order + order)[start : start + size] for start in range(0, images, size)]


def answers(model: nn.Module, x: Tensor, batches: list[list[int]]) -> dict[int, Tensor]:
    """Image -> its logits, in the first batch that it is in."""
    found: dict[int, Tensor] = {}
    for batch in batches:
        with torch.no_grad():
            found = dict(zip(batch, model(x[batch]), strict=True)) | found
    return found


def attacked(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Sign ascent of a batch as a whole, written out."""
    x_adv = x.clone()
    for _ in range(PGD["steps"]):
        x_adv.requires_grad_()
        loss = nn.functional.cross_entropy(model(x_adv), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x_adv)
        moved = x_adv.detach() + PGD["step_size"] * gradient.sign()
        x_adv = torch.minimum(torch.maximum(moved, x - EPS), x + EPS).clamp(0, 1)
    return x_adv


def test_clean_images_are_judged_in_whole_batches_the_last_one_filled_up(subject: Subject) -> None:
    found = rows_of(evaluate(subject, evaluation(CLEAN)))
    assert subject.model.sizes == [SIZE] * 5
    expected = answers(subject.model, subject.x, batches(subject.y))
    assert found["prediction"].to_dict() == {
        image: int(logits.argmax()) for image, logits in expected.items()
    }
    losses = {
        image: nn.functional.cross_entropy(logits, subject.y[image]).item()
        for image, logits in expected.items()
    }
    assert found["loss"].to_dict() == pytest.approx(losses, rel=1e-4)
    others = rows_of(evaluate(subject, evaluation(CLEAN, seed=1)))
    assert not np.allclose(found["loss"], others["loss"], rtol=1e-3), "the company matters"


@pytest.mark.parametrize("samples", [None, 24, 9])
def test_all_images_of_a_batch_are_attacked_together(samples: int | None, subject: Subject) -> None:
    found = evaluate(subject, evaluation(samples=samples))
    rows, images = rows_of(found), samples or IMAGES
    size = min(SIZE, images)
    assert {*subject.model.sizes} == {size, SIZE}
    assert found.record["batch_size"] == size
    assert rows.index.is_monotonic_increasing
    assert len(rows) == images
    assert not rows["carried"].any()
    for batch in batches(subject.y, images, size)[::-1]:
        x_adv = attacked(subject.model, subject.x[batch], subject.y[batch])
        logits = subject.model(x_adv).detach()
        expected = pd.Series(logits.argmax(1).numpy(), index=batch)
        losses = nn.functional.cross_entropy(logits, subject.y[batch], reduction="none").numpy()
        counted = [
            place
            for place, image in enumerate(batch)
            if image not in batches(subject.y, images, size)[0]
            or batch == batches(subject.y, images, size)[0]
        ]
        for place in counted:
            assert rows["prediction"][batch[place]] == expected.iloc[place]
            assert rows["loss"][batch[place]] == pytest.approx(losses[place], rel=1e-3, abs=1e-5)
    assert rows["success"].mean() > 0.3


def test_an_image_that_is_misclassified_keeps_its_place_and_may_be_won_back(subject: Subject) -> None:
    clean, rows = (rows_of(evaluate(subject, evaluation(attack))) for attack in (CLEAN, PGD))
    wrong = clean["success"]
    assert 0 < wrong.sum() < IMAGES
    assert (rows["loss"] != clean["loss"])[wrong].all()


def test_batches_are_never_halved(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subject.model.features

    def scarce(x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and len(x) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return real(x)

    monkeypatch.setattr(subject.model, "features", scarce)
    for attack in (PGD, AUTOATTACK, MASKING):
        with pytest.raises(torch.OutOfMemoryError):
            evaluate(subject, evaluation(attack))


@pytest.mark.parametrize("engine", ["reference", "fast", "fast-bf16"])
def test_autoattack_sees_whole_batches_only_and_is_judged_by_that_of_all_it_made(
    engine: str, subject: Subject
) -> None:
    found = evaluate(subject, evaluation(AUTOATTACK | {"engine": engine}, samples=32))
    rows = rows_of(found)
    assert {*subject.model.sizes} == {SIZE}
    clean = rows_of(evaluate(subject, evaluation(CLEAN))).loc[rows.index]
    assert rows["success"].sum() > clean["success"].sum() + 5
    assert found.images is not None
    shown = found.images["samples"]
    changed = np.abs(found.images["final"] - subject.x[shown].numpy()).max(axis=(1, 2, 3))
    assert (changed <= EPS + 1e-6).all()
    assert changed.max() > 0.9 * EPS
    first = batches(subject.y, 32)[0]
    assert shown.tolist() == first[:8]


def test_a_killed_evaluation_goes_on_to_the_same_result(subject: Subject, tmp_path: Path) -> None:
    undisturbed = evaluate(subject, evaluation())
    asked = list[int]()

    def watched(name: str, memory: Memory) -> Runner:
        known = memory.of(name)

        def run(perturb: Attack, x: Tensor, labels: Tensor) -> Tensor:
            asked.append(len(x))
            if len(asked) == 3:
                raise KeyboardInterrupt
            return known(perturb, x, labels)

        return run

    memory = Memory(tmp_path, "s")
    with pytest.raises(KeyboardInterrupt):
        evaluate(subject, evaluation(), runner=lambda name: watched(name, memory))
    resumed = evaluate(subject, evaluation(), runner=Memory(tmp_path, "s").of)
    pd.testing.assert_frame_equal(rows_of(resumed), rows_of(undisturbed))


# ----------------------------------------------------------------------------------------------- masking
def verdicts(subject: Subject) -> dict[str, dict[str, Any]]:
    checks = evaluate(subject, evaluation(MASKING)).record["masking"]
    return {check["check"]: check for check in checks}


def test_checks_are_made_in_whole_batches_or_do_not_apply(subject: Subject) -> None:
    found = verdicts(subject)
    assert {name: check["passed"] for name, check in found.items()} == {
        "no batch statistics at test time": None,
        "input gradients not zero": True,
        "more steps not weaker": True,
        "black-box not stronger than white-box": None,
        "robust accuracy falls to 0 as eps grows": True,
    }
    assert {*subject.model.sizes} == {SIZE}
    assert "whole batches of 16" in found["no batch statistics at test time"]["detail"]
    right = IMAGES - int(rows_of(evaluate(subject, evaluation(CLEAN)))["success"].sum())
    assert f"of {right} images" in found["more steps not weaker"]["detail"], "each once, and only these"


def test_a_blind_attack_is_found_out() -> None:
    torch.manual_seed(3)
    failed = {name for name, check in verdicts(subject_of(Blind())).items() if check["passed"] is False}
    assert failed == {"input gradients not zero", "robust accuracy falls to 0 as eps grows"}
