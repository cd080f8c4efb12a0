from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.attacks.engine import Attack, Runner
from robustfront.config.evaluations import Evaluation
from robustfront.data.splits import stratified_order, subset
from robustfront.data.store import Split
from robustfront.errors import ArtefactError, ConfigError
from robustfront.evaluation.attacks import pgd as attack_by_pgd
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.memory import Memory
from robustfront.evaluation.outcomes import Evaluated, fell, load, save
from robustfront.evaluation.subject import Subject
from robustfront.evaluation.verdicts import judged
from toy_models import Convolutional, Linear, random_images, random_linear

SHAPE = (3, 6, 6)
PGD = {"kind": "pgd", "steps": 8, "step_size": 0.03}
AUTOATTACK = {"kind": "autoattack"}
CLEAN, MASKING = {"kind": "clean"}, {"kind": "masking"}


pytestmark = pytest.mark.usefixtures("small_budget")


def evaluation(attack: dict[str, object] = PGD, **changes: object) -> Evaluation:
    threat = None if attack == CLEAN else {"eps": 0.08, "space": "normalised"}
    return Evaluation.model_validate({"attack": attack, "threat": threat, "batch_size": 16} | changes)


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


@pytest.fixture
def subject(model: Linear, split: Split) -> Subject:
    return Subject.of(model, split, "cpu")


def rows_of(found: Evaluated) -> pd.DataFrame:
    assert found.rows is not None
    return found.rows


def shown(found: Evaluated) -> dict[str, np.ndarray]:
    assert found.images is not None
    return found.images


# --------------------------------------------------------------------------------------------- verdicts
def test_rows_are_one_per_image_with_verdicts_of_the_closed_form(model: Linear, subject: Subject) -> None:
    x, y = subject.x, subject.y
    ball = Ball.of(evaluation().threat, model.mean, model.std)
    worst = model.worst_margin(x, y, 0.08 * ball.scale).numpy()
    wrong = (model(x).argmax(1) != y).numpy()
    clean = rows_of(evaluate(subject, evaluation(CLEAN))).set_index("sample")
    assert (clean["success"] == wrong).all()
    assert not clean["carried"].any()
    some = subset(y.numpy(), 40, seed=0)
    for settings, seen in ((evaluation(), np.arange(70)), (evaluation(AUTOATTACK, samples=40), some)):
        found = evaluate(subject, settings)
        part = rows_of(found).set_index("sample")
        assert part.index.tolist() == seen.tolist()
        assert (part["outcome"] == "final").all()
        assert (part["carried"] == wrong[seen]).all()
        assert (part["label"] == y.numpy()[seen]).all()
        assert (part["success"] == (part["prediction"] != part["label"])).all()
        carried = part[part["carried"]]
        same = carried[["prediction", "loss"]] == clean.loc[carried.index][["prediction", "loss"]]
        assert same.all(axis=None)
        assert not (part["success"] & (worst[seen] < -1e-4)).any()
        assert found.record["outcomes"]["final"]["errors"] == part["success"].sum()
    assert ((worst[some] > 0) == part["success"])[np.abs(worst[some]) > 1e-3].all()
    assert 15 < part["success"].sum() < 40


def test_samples_nest_cover_the_classes_and_are_the_same_for_every_model(model: Linear, split: Split) -> None:
    order = split.labels.argsort()  # as in a file sorted by class
    split = Split(split.images[order], split.labels[order], split.indices)

    def seen(model: Linear, samples: int | None, seed: int = 0) -> set[int]:
        settings = evaluation(samples=samples, seed=seed)
        return set(rows_of(evaluate(Subject.of(model, split, "cpu"), settings))["sample"])

    other = random_linear(5, SHAPE, norm=1.0)
    few, more = seen(model, 15), seen(model, 30)
    assert (seen(other, 15), seen(other, 30)) == (few, more)
    assert few < more < seen(model, None)
    assert (len(few), len(more)) == (15, 30)
    shares = np.bincount(split.labels[list(more)], minlength=5) - 30 / 70 * np.bincount(split.labels)
    assert np.abs(shares).max() < 1
    assert seen(model, 15, seed=1) != few


def test_the_loss_is_the_cross_entropy_at_the_attacked_image(model: Linear, subject: Subject) -> None:
    clean, attacked = (rows_of(evaluate(subject, evaluation(a)))["loss"].to_numpy() for a in (CLEAN, PGD))
    expected = torch.nn.functional.cross_entropy(model(subject.x), subject.y, reduction="none")
    torch.testing.assert_close(torch.tensor(clean), expected.detach())
    assert (attacked >= clean).all()


def test_outcomes_on_the_way_are_those_of_shorter_attacks(subject: Subject) -> None:
    found = evaluate(subject, evaluation(PGD | {"also": {"three": 3, "one": 1}}))
    assert list(found.record["outcomes"]) == ["final", "step-1", "step-3"]
    rows = rows_of(found)
    assert rows.groupby("outcome").size().to_dict() == {"final": 70, "step-1": 70, "step-3": 70}
    for outcome, steps in (("final", 8), ("step-3", 3), ("step-1", 1)):
        alone = evaluate(subject, evaluation(PGD | {"steps": steps}))
        part = rows[rows["outcome"] == outcome].drop(columns="outcome").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, rows_of(alone).drop(columns="outcome"))
        assert np.array_equal(shown(found)[outcome], shown(alone)["final"])
        assert found.record["outcomes"][outcome] == alone.record["outcomes"]["final"]
    assert fell(rows, "step-1").sum() < fell(rows).sum()


STANDING = {"restarts": 3, "restarts_on": "standing"}


@pytest.mark.parametrize(
    "attack", [PGD, PGD | {"restarts": 2}, PGD | {"also": {"one": 1}}, PGD | {"steps": 1} | STANDING]
)
def test_neither_batches_nor_other_images_change_pgd(attack: dict[str, object], subject: Subject) -> None:
    whole = rows_of(evaluate(subject, evaluation(attack)))
    part = rows_of(evaluate(subject, evaluation(attack, samples=20, batch_size=7)))
    expected = whole[whole["sample"].isin(part["sample"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected, rtol=1e-4)
    assert expected["success"].sum() > expected["carried"].sum()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_same_images_fall_if_those_that_fell_are_attacked_no_more(norm: str, subject: Subject) -> None:
    threat = {"norm": norm, "eps": 0.08 if norm == "linf" else 0.6, "space": "normalised"}
    once = PGD | {"steps": 1, "step_size": 1e-4}
    every, fewer, one = (
        rows_of(evaluate(subject, evaluation(once | more, threat=threat)))
        for more in (STANDING | {"restarts_on": "all"}, STANDING, {})
    )
    assert fewer["success"].tolist() == every["success"].tolist()
    assert one["success"].sum() < fewer["success"].sum() < len(fewer)
    early = one["success"]
    pd.testing.assert_frame_equal(fewer[early], one[early], rtol=1e-4)
    withstood = ~fewer["success"]
    pd.testing.assert_frame_equal(fewer[withstood], every[withstood], rtol=1e-4)
    assert (fewer["loss"] < every["loss"] - 1e-6).any(), "the first success, not the worst one"


# ------------------------------------------------------------------------------------- what is left behind
def test_the_same_evaluation_gives_the_same_files(subject: Subject, tmp_path: Path) -> None:
    for settings in (evaluation(), evaluation(AUTOATTACK)):
        for name in ("a", "b"):
            torch.manual_seed(hash(name) % 1000)
            found = evaluate(subject, settings)
            save(found, tmp_path / name)
        for suffix in ("parquet", "safetensors"):
            assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
        pd.testing.assert_frame_equal(load(tmp_path / "a")[0], rows_of(found))
        other = evaluate(subject, settings.model_copy(update={"seed": 1}))
        assert not rows_of(other)["loss"].equals(rows_of(found)["loss"])


def test_the_record_says_what_was_run_and_on_what(subject: Subject) -> None:
    record = evaluate(subject, evaluation()).record
    assert Evaluation.model_validate(record["evaluation"]) == evaluation()
    assert list(record["outcomes"]["final"]) == ["n", "errors", "error", "low", "high"]
    assert record["device"] == "cpu"
    assert record["seconds"] > 0
    assert record["versions"]["torch"] == torch.__version__
    assert record["batch_size"] == 16
    assert "masking" not in record


def test_eight_images_are_kept_as_the_attack_left_them(model: Linear, subject: Subject) -> None:
    order = stratified_order(subject.y.numpy(), 0)[:8]
    x, wrong = subject.x[order].numpy(), (model(subject.x[order]).argmax(1) != subject.y[order]).numpy()
    assert 0 < wrong.sum() < 8
    for attack, names in (
        (CLEAN, {"samples", "final"}),
        (AUTOATTACK, {"samples", "final"}),
        (PGD | {"also": {"b": 2}}, {"samples", "final", "step-2"}),
    ):
        found = evaluate(subject, evaluation(attack, **({} if attack == CLEAN else {"samples": 8})))
        images = shown(found)
        assert images.keys() == names
        assert (images["samples"].tolist(), images["samples"].dtype) == (order.tolist(), np.int64)
        for outcome in names - {"samples"}:
            assert (images[outcome].shape, images[outcome].dtype) == ((8, *SHAPE), np.float32)
            assert np.array_equal(images[outcome][wrong], x[wrong])
            rows = rows_of(found)
            at = rows[rows["outcome"] == outcome].set_index("sample").loc[order]
            prediction = model(torch.from_numpy(images[outcome])).argmax(1)
            assert at["prediction"].tolist() == prediction.tolist()
        if attack == CLEAN:
            assert np.array_equal(images["final"], x)
        else:
            assert (images["final"] != x).any(axis=(1, 2, 3))[at["success"] & ~at["carried"]].all()


def test_an_image_that_was_not_attacked_is_kept_as_it_is(subject: Subject) -> None:
    images = shown(evaluate(subject, evaluation(samples=3)))
    x = subject.x[images["samples"]].numpy()
    changed = (images["final"] != x).any(axis=(1, 2, 3))
    assert changed[:3].any()
    assert not changed[3:].any()


def test_masking_checks_have_verdicts_and_no_rows(subject: Subject) -> None:
    found = evaluate(subject, evaluation(MASKING))
    assert (found.rows, found.images) == (None, None)
    assert "outcomes" not in found.record
    assert [check["check"] for check in found.record["masking"]] == [
        "no batch statistics at test time",
        "input gradients not zero",
        "more steps not weaker",
        "black-box not stronger than white-box",
        "robust accuracy falls to 0 as eps grows",
    ]
    assert all(check["passed"] for check in found.record["masking"])
    assert "of 60 images" in found.record["masking"][2]["detail"]
    assert [check["images"] for check in found.record["masking"][1:]] == [60] * 4


# --------------------------------------------------------------------------------------------- the way there
def test_pgd_sees_the_fast_memory_format(split: Split) -> None:
    seen = set()

    class Watching(Convolutional):
        def features(self, x: Tensor) -> Tensor:
            formats = (x, self.body[0].weight)
            seen.add(tuple(t.is_contiguous(memory_format=torch.channels_last) for t in formats))
            return super().features(x)

    evaluate(Subject.of(Watching(5), split, "cpu"), evaluation())
    assert (True, True) in seen


def test_progress_counts_up(subject: Subject) -> None:
    calls: list[tuple[str, int, int]] = []
    evaluate(subject, evaluation(), progress=lambda *call: calls.append(call))
    assert calls == [("pgd-8", done, 60) for done in (0, 16, 32, 48, 60)]
    calls.clear()
    evaluate(subject, evaluation(AUTOATTACK), progress=lambda *call: calls.append(call))
    parts = [name for name, _, _ in calls if name != "autoattack-standard"]
    assert list(dict.fromkeys(parts)) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert calls[0], calls[-1] == [("autoattack-standard", done, 60) for done in (0, 60)]


def test_the_model_is_judged_in_eval_mode(split: Split) -> None:
    class Fickle(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (-1 if self.training else 1)

    base = random_linear(5, SHAPE, norm=2.0)
    fickle = Fickle(base.head.weight.data, base.head.bias.data).train()
    found = evaluate(Subject.of(fickle, split, "cpu"), evaluation(CLEAN))
    assert found.record["outcomes"]["final"]["errors"] == 10


def test_where_the_clip_excludes_the_image_itself_every_image_is_attacked(subject: Subject) -> None:
    threat = {"eps": 0.08, "space": "normalised", "clip": "normalised-unit"}
    assert not rows_of(evaluate(subject, evaluation(threat=threat)))["carried"].any()
    checks = evaluate(subject, evaluation(MASKING, threat=threat)).record["masking"]
    assert "black-box not stronger than white-box" not in [check["check"] for check in checks]
    with pytest.raises(ConfigError, match="normalised-unit"):
        evaluate(subject, evaluation(AUTOATTACK, threat=threat))


def test_a_model_that_is_always_wrong_is_evaluated_without_attacking(model: Linear, split: Split) -> None:
    labels = (model(split.images / 255).argmax(1) + 1) % 5
    subject = Subject.of(model, Split(split.images, labels, split.indices), "cpu")
    for attack in (PGD | {"also": {"one": 1}}, AUTOATTACK):
        found = evaluate(subject, evaluation(attack))
        assert rows_of(found)["success"].all()
        assert found.record["outcomes"]["final"]["error"] == 1.0
    checks = evaluate(subject, evaluation(MASKING)).record["masking"]
    assert checks[-1]["check"] == "images to attack"
    assert judged(checks) == ["passed", "undecided"], "without images nothing can be found"


def test_logits_that_are_not_finite_are_refused(model: Linear, subject: Subject) -> None:
    model.head.bias.data[2] = float("nan")
    with pytest.raises(ArtefactError, match="not finite on 70 of 70"):
        evaluate(subject, evaluation())


def test_an_attack_that_leaves_the_ball_is_caught(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        attack_by_pgd, "ascend", lambda model, x, *args, **settings: {"final": (x + 0.1).clamp(0, 1)}
    )
    with pytest.raises(RuntimeError, match=r"pgd-8 left the ball on 60 of 60"):
        evaluate(subject, evaluation())


# --------------------------------------------------------------------------------------- memory running out
class Small(Linear):
    """Runs out of memory with more than `most` images, `attacked` or not."""

    most, attacked = 1000, 1000

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > (self.attacked if torch.is_grad_enabled() else self.most):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return super().forward(x)


@pytest.fixture
def small(model: Linear, split: Split) -> Subject:
    return Subject.of(Small(model.head.weight.data, model.head.bias.data), split, "cpu")


@pytest.mark.parametrize(("most", "attacked", "used"), [(1000, 5, 4), (9, 1000, 8), (9, 1, 1)])
@pytest.mark.filterwarnings("ignore:memory ran out")
def test_pgd_with_less_memory_gives_the_same(
    most: int, attacked: int, used: int, subject: Subject, small: Subject
) -> None:
    small.model.most, small.model.attacked = most, attacked
    enough, less = (evaluate(one, evaluation()) for one in (subject, small))
    assert (enough.record["batch_size"], less.record["batch_size"]) == (16, used)
    pd.testing.assert_frame_equal(rows_of(less), rows_of(enough), rtol=1e-4)


@pytest.mark.parametrize(("engine", "used"), [("reference", 8), ("fast", 2)])  # of few, 4 targets at once
@pytest.mark.filterwarnings("ignore:memory ran out")
def test_autoattack_with_less_memory_begins_anew_in_smaller_batches(
    engine: str, used: int, subject: Subject, small: Subject
) -> None:
    small.model.attacked = 9
    found = evaluate(small, evaluation(AUTOATTACK | {"engine": engine}))
    assert found.record["batch_size"] == used
    other = evaluate(subject, evaluation(AUTOATTACK | {"engine": engine}, batch_size=used))
    pd.testing.assert_frame_equal(rows_of(found), rows_of(other))


@pytest.mark.filterwarnings("ignore:memory ran out")
def test_the_clean_images_and_the_checks_need_no_more_memory_either(small: Subject, subject: Subject) -> None:
    small.model.most, small.model.attacked = 9, 5
    found = evaluate(small, evaluation(CLEAN))
    assert found.record["batch_size"] == 8
    pd.testing.assert_frame_equal(rows_of(found), rows_of(evaluate(subject, evaluation(CLEAN))))
    checks = evaluate(small, evaluation(MASKING)).record
    assert checks["batch_size"] == 4
    assert len(checks["masking"]) == 5


@pytest.mark.parametrize("attack", [PGD, AUTOATTACK, MASKING])
@pytest.mark.filterwarnings("ignore:memory ran out")
def test_a_single_image_that_does_not_fit_is_the_end(attack: dict[str, object], small: Subject) -> None:
    small.model.attacked = 0
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(small, evaluation(attack))


@pytest.mark.parametrize("attack", [PGD, AUTOATTACK])
@pytest.mark.filterwarnings("ignore:memory ran out")
def test_batches_kept_before_memory_ran_out_are_not_mixed_with_smaller_ones(
    attack: dict[str, object], small: Subject, tmp_path: Path
) -> None:
    def run(folder: str, dies_at: int | None = None) -> Evaluated:
        memory, asked = Memory(tmp_path / folder, "s"), list[int]()

        def runner(name: str) -> Runner:
            known = memory.of(name)

            def watched(perturb: Attack, x: Tensor, labels: Tensor) -> Tensor:
                asked.append(len(x))
                if len(asked) == dies_at:
                    raise KeyboardInterrupt
                small.model.attacked = 1000 if asked == [16] else 5  # the first batch alone fits
                return known(perturb, x, labels)

            return watched

        return evaluate(small, evaluation(attack), runner=runner)

    undisturbed = run("a")
    assert undisturbed.record["batch_size"] == 4
    for dies_at in range(1, 8):
        with pytest.raises(KeyboardInterrupt):
            run("b", dies_at)
    for _ in range(2):
        pd.testing.assert_frame_equal(rows_of(run("b")), rows_of(undisturbed))
