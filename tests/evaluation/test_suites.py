from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.config.schema import Suite
from robustfront.data.splits import subset
from robustfront.data.store import Split
from robustfront.errors import ArtefactError, ConfigError
from robustfront.evaluation import suites
from robustfront.evaluation.outcomes import load, save
from robustfront.evaluation.suites import evaluate
from toy_models import Convolutional, Linear, random_images, random_linear

SHAPE = (3, 6, 6)
PGD = {"kind": "pgd", "steps": 8, "step_size": 0.03}


pytestmark = pytest.mark.usefixtures("small_budget")


def suite(**changes: object) -> Suite:
    attacks = {"pgd-8": PGD, "autoattack": {"kind": "autoattack"}}
    threat = {"eps": 0.08, "space": "normalised"}
    return Suite.model_validate(
        {"name": "toy", "threat": threat, "attacks": attacks, "batch_size": 16, "masking": False} | changes
    )


@pytest.fixture
def model() -> Linear:
    return random_linear(5, SHAPE, norm=2.0)


@pytest.fixture
def split(model: Linear) -> Split:
    """70 images; the labels are the model's predictions, wrong on every seventh."""
    images = (255 * random_images(70, SHAPE)).round().to(torch.uint8)
    labels = model(images / 255).argmax(1)
    labels[::7] = (labels[::7] + 1) % 5
    return Split(images, labels, torch.arange(70))


def test_rows_are_one_per_image_and_attack_with_verdicts_of_the_closed_form(
    model: Linear, split: Split
) -> None:
    rows, summary = evaluate(model, split, suite(samples={"autoattack": 40}), device="cpu")
    assert rows.groupby("attack", sort=False).size().to_dict() == {"clean": 70, "pgd-8": 70, "autoattack": 40}
    by_attack = {name: part.set_index("sample") for name, part in rows.groupby("attack")}
    x, y = split.images / 255, split.labels
    ball = Ball.of(suite().threat, model.mean, model.std)
    worst = model.worst_margin(x, y, 0.08 * ball.scale).numpy()
    wrong = (model(x).argmax(1) != y).numpy()
    assert (by_attack["clean"]["success"] == wrong).all()
    some = subset(y.numpy(), 40, seed=0)
    for name, seen in (("pgd-8", np.arange(70)), ("autoattack", some)):
        part = by_attack[name]
        assert part.index.tolist() == seen.tolist()
        assert (part["carried"] == wrong[seen]).all()
        assert (part["label"] == y.numpy()[seen]).all()
        assert (part["success"] == (part["prediction"] != part["label"])).all()
        carried, clean = part[part["carried"]], by_attack["clean"].loc[part.index[part["carried"]]]
        assert (carried[["prediction", "loss"]] == clean[["prediction", "loss"]]).all(axis=None)
        assert not (part["success"] & (worst[seen] < -1e-4)).any()
    assert ((worst[some] > 0) == by_attack["autoattack"]["success"])[np.abs(worst[some]) > 1e-3].all()
    both = by_attack["pgd-8"]["success"][some] | by_attack["autoattack"]["success"]
    assert summary["attacks"]["worst-case"]["errors"] == both.sum()
    assert 15 < both.sum() < 40
    assert summary["attacks"]["worst-case"]["n"] == 40


def test_samples_nest_cover_the_classes_and_are_the_same_for_every_model(model: Linear, split: Split) -> None:
    order = split.labels.argsort()  # as in a file sorted by class
    split = Split(split.images[order], split.labels[order], split.indices)
    attacks = dict.fromkeys(("few", "more", "all"), PGD)
    settings = suite(attacks=attacks, samples={"few": 15, "more": 30})
    seen = []
    for subject in (model, random_linear(5, SHAPE, norm=1.0)):
        rows, _ = evaluate(subject, split, settings, device="cpu")
        seen.append({name: set(part["sample"]) for name, part in rows.groupby("attack")})
    few, more = seen[0]["few"], seen[0]["more"]
    assert seen[0] == seen[1]
    assert few < more < seen[0]["all"]
    assert (len(few), len(more)) == (15, 30)
    shares = np.bincount(split.labels[list(more)], minlength=5) - 30 / 70 * np.bincount(split.labels)
    assert np.abs(shares).max() < 1
    other, _ = evaluate(model, split, suite(attacks=attacks, samples={"few": 15}, seed=1), device="cpu")
    assert set(other[other["attack"] == "few"]["sample"]) != few


def test_the_loss_is_the_cross_entropy_at_the_attacked_image(model: Linear, split: Split) -> None:
    rows, _ = evaluate(model, split, suite(), device="cpu")
    clean, attacked = (rows[rows["attack"] == name]["loss"].to_numpy() for name in ("clean", "pgd-8"))
    expected = torch.nn.functional.cross_entropy(model(split.images / 255), split.labels, reduction="none")
    torch.testing.assert_close(torch.tensor(clean), expected.detach())
    assert (attacked >= clean).all()


def test_the_same_suite_gives_the_same_rows_and_files(model: Linear, split: Split, tmp_path: Path) -> None:
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 1000)
        rows, summary = evaluate(model, split, suite(), device="cpu")
        save(rows, summary, tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    pd.testing.assert_frame_equal(load(tmp_path / "a")[0], rows)
    other, _ = evaluate(model, split, suite(seed=1), device="cpu")
    assert not other["loss"].equals(rows["loss"])


def test_the_summary_says_what_was_run_and_on_what(model: Linear, split: Split) -> None:
    _, summary = evaluate(model, split, suite(), device="cpu")
    assert Suite.model_validate(summary["suite"]) == suite()
    assert list(summary["attacks"]) == ["clean", "pgd-8", "autoattack", "worst-case"]
    assert summary["attacks"]["clean"]["errors"] == 10
    assert summary["masking"] == []
    assert summary["device"] == "cpu"
    assert summary["seconds"] > 0
    assert summary["versions"]["torch"] == torch.__version__


def test_pgd_sees_the_fast_memory_format(split: Split) -> None:
    seen = set()

    class Watching(Convolutional):
        def features(self, x: Tensor) -> Tensor:
            formats = (x, self.body[0].weight)
            seen.add(tuple(t.is_contiguous(memory_format=torch.channels_last) for t in formats))
            return super().features(x)

    evaluate(Watching(5), split, suite(attacks={"pgd-8": PGD}), device="cpu")
    assert (True, True) in seen


def test_masking_checks_are_part_of_the_summary(model: Linear, split: Split) -> None:
    _, summary = evaluate(model, split, suite(masking=True), device="cpu")
    assert [check["check"] for check in summary["masking"]] == [
        "AutoAttack not above PGD",
        "no batch statistics at test time",
        "input gradients not zero",
        "more steps not weaker",
        "black-box not stronger than white-box",
        "robust accuracy falls to 0 as eps grows",
    ]
    assert all(check["passed"] for check in summary["masking"])


def test_progress_counts_up_for_each_attack(model: Linear, split: Split) -> None:
    calls: list[tuple[str, int, int]] = []
    evaluate(model, split, suite(), device="cpu", progress=lambda *call: calls.append(call))
    assert [done for name, done, _ in calls if name == "pgd-8"] == [0, 16, 32, 48, 60]
    assert [done for name, done, _ in calls if name == "autoattack"] == [0, 60]
    assert {total for name, _, total in calls if name in ("pgd-8", "autoattack")} == {60}
    parts = dict.fromkeys(name for name, _, _ in calls if ":" in name)
    assert list(parts) == [f"autoattack: {part}" for part in ("apgd-ce", "apgd-t", "fab-t", "square")]


def test_the_model_is_judged_in_eval_mode(split: Split) -> None:
    class Fickle(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (-1 if self.training else 1)

    base = random_linear(5, SHAPE, norm=2.0)
    fickle = Fickle(base.head.weight.data, base.head.bias.data).train()
    _, summary = evaluate(fickle, split, suite(attacks={}), device="cpu")
    assert summary["attacks"]["clean"]["errors"] == 10


def test_where_the_clip_excludes_the_image_itself_every_image_is_attacked(
    model: Linear, split: Split
) -> None:
    threat = {"eps": 0.08, "space": "normalised", "clip": "normalised-unit"}
    rows, summary = evaluate(
        model, split, suite(threat=threat, attacks={"pgd": PGD}, masking=True), device="cpu"
    )
    assert not rows["carried"].any()
    assert "black-box not stronger than white-box" not in [check["check"] for check in summary["masking"]]
    with pytest.raises(ConfigError, match="normalised-unit"):
        evaluate(model, split, suite(threat=threat), device="cpu")


def test_a_model_that_is_always_wrong_is_evaluated_without_attacking(model: Linear, split: Split) -> None:
    labels = (model(split.images / 255).argmax(1) + 1) % 5
    wrong = Split(split.images, labels, split.indices)
    rows, summary = evaluate(model, wrong, suite(masking=True), device="cpu")
    assert rows["success"].all()
    assert summary["attacks"]["worst-case"]["error"] == 1.0
    assert {"images to attack": False}.items() <= {
        c["check"]: c["passed"] for c in summary["masking"]
    }.items()


def test_logits_that_are_not_finite_are_refused(model: Linear, split: Split) -> None:
    model.head.bias.data[2] = float("nan")
    with pytest.raises(ArtefactError, match="not finite on 70 of 70"):
        evaluate(model, split, suite(), device="cpu")


def test_an_attack_that_leaves_the_ball_is_caught(
    model: Linear, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "ascend", lambda model, x, *args, **settings: (x + 0.1).clamp(0, 1))
    with pytest.raises(RuntimeError, match=r"'pgd-8' left the ball on 60 of 60"):
        evaluate(model, split, suite(), device="cpu")
