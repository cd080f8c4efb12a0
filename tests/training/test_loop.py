import pytest
import torch
from small_trainings import Scripted, fit, network, same, store, trainer, training, without_clock

from robustfront.config.schedules import Position
from robustfront.data.augment import crop_and_flip, to_float
from robustfront.errors import ConfigError
from robustfront.training import loop
from robustfront.training.history import COLUMNS
from robustfront.training.judge import judge
from robustfront.training.randomness import positioned

SCORES = {"validation_clean_accuracy": 0.5, "validation_clean_loss": 1.0}
CASES = [
    ("standard", {"loss": "ce"}),
    ("pgd_at", {}),
    ("trades", {"beta": 1.5}),
    ("npda", {"generator": "score", "beta": 1.5}),
    ("npgd", {"generator": "trades", "beta": 1.5}),
]


@pytest.mark.parametrize(("name", "params"), CASES, ids=[name for name, _ in CASES])
def test_training_twice_gives_the_same_bits(name, params) -> None:
    edits = {"epochs": 2, "ema": 0.9}
    one, two = (fit(trainer(name, pad=1, edits=edits, **params)) for _ in range(2))
    assert same(one.weights, two.weights)
    assert without_clock(one.history) == without_clock(two.history)
    other = fit(trainer(name, pad=1, edits=edits, seed=1, **params))
    assert not same(one.weights, other.weights)


def test_a_training_learns() -> None:
    history = fit(trainer("trades", beta=1.0, images=240, edits={"epochs": 6})).history
    assert history[-1]["train_loss"] < 0.7 * history[1]["train_loss"]
    assert history[-1]["validation_clean_accuracy"] > 0.8


def test_global_randomness_of_a_step_depends_on_its_position_alone() -> None:
    drawn: list[list[float]] = []

    class Drawing(Scripted):
        def losses(self, x, x_adv, y, at):
            drawn[-1].append(torch.rand(()).item())
            return super().losses(x, x_adv, y, at)

    for noise in (1, 4):
        drawn.append([])
        made = trainer(Drawing, edits={"epochs": 2})
        torch.rand(noise)
        fit(made)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 2 * 5


# ------------------------------------------------------------------------------------------------- the images
def test_an_epoch_sees_every_image_once_in_an_order_of_its_own() -> None:
    made = trainer(Scripted, edits={"epochs": 2})
    fit(made)
    images = made.method.images
    assert [len(batch) for batch in images] == [16, 16, 16, 16, 8] * 2
    epochs = [torch.cat(images[:5]), torch.cat(images[5:])]
    everything = to_float(store().train.images)
    for epoch in epochs:
        found = (epoch[:, None] == everything[None]).flatten(2).all(dim=2)
        assert torch.equal(found.sum(dim=0), torch.ones(72, dtype=torch.int64))
        assert torch.equal(found.sum(dim=1), torch.ones(72, dtype=torch.int64))
    assert not torch.equal(*epochs)
    assert images[0].is_contiguous(memory_format=torch.channels_last)


def test_augmentation_is_reproducible_and_differs_between_epochs() -> None:
    first, second = (trainer(Scripted, pad=2, edits={"epochs": 2}) for _ in range(2))
    fit(first), fit(second)
    images = first.method.images
    assert all(torch.equal(a, b) for a, b in zip(images, second.method.images, strict=True))
    originals = store().train.images
    offsets = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    views = {}  # pixels of every possible view -> the image it is of
    for index, image in enumerate(originals):
        for flip in (False, True):
            flips = torch.full((25,), flip)
            views |= {
                tuple(view.flatten().tolist()): index
                for view in crop_and_flip(image.expand(25, -1, -1, -1), 2, offsets, flips)
            }
    for epoch in (images[:5], images[5:]):
        pixels = (torch.cat(epoch) * 255).round().to(torch.uint8)
        assert sorted(views[tuple(view.flatten().tolist())] for view in pixels) == list(range(72))
    assert not torch.equal(torch.cat(images[:5]).sum(), torch.cat(images[5:]).sum())


def test_a_last_batch_of_one_image_is_refused_before_anything_starts() -> None:
    with pytest.raises(
        ConfigError, match=r"training\.batch_size: 16 leaves one of the 49 training images alone"
    ):
        trainer("standard", images=49)


def test_the_last_images_may_be_left_out() -> None:
    made = trainer(Scripted, edits={"epochs": 2, "drop_last": True}, images=65)  # else one is left alone
    history = fit(made).history
    assert [len(batch) for batch in made.method.images] == [16] * 8
    assert [row["images_per_second"] * row["seconds"] for row in history[1:]] == pytest.approx([64, 64])
    with pytest.raises(ConfigError, match="batch_size: 16 is more than the 10 training images"):
        trainer(Scripted, edits={"drop_last": True}, images=10)


def test_a_batch_larger_than_the_data_is_one_step() -> None:
    made = trainer("standard", images=10)
    fit(made)
    assert made.steps_per_epoch == 1


# ------------------------------------------------------------------------------------------------ the history
@pytest.mark.parametrize(("name", "params"), CASES, ids=[name for name, _ in CASES])
def test_columns_of_the_history(name, params) -> None:
    history = fit(trainer(name, edits={"epochs": 2}, **params)).history
    common = {"epoch", "lr", "train_loss", "seconds", "validation_seconds", "images_per_second"}
    common |= {
        f"validation_{view}_{what}" for view in ("clean", "adversarial") for what in ("loss", "accuracy")
    }
    parts = {"standard": ["clean"], "pgd_at": ["adversarial"]}.get(name, ["clean", "adversarial"])
    own = {f"train_{part}_{what}" for part in parts for what in ("loss", "accuracy")}
    extra = {
        "npda": {"projected_gradient_norm", "projected_gradient_share"},
        "npgd": {"head_offset_in_row_space"},
    }.get(name, set())
    start, *epochs = history
    assert start.keys() == {name for name in common if name.startswith("validation_")} | {"epoch"}
    assert start["epoch"] == 0
    for epoch, row in enumerate(epochs):
        assert common | own | extra <= row.keys() & set(COLUMNS)
        assert extra or row.keys() == common | own  # NPAT logs more
        assert row["epoch"] == epoch + 1
        assert row["train_loss"] == pytest.approx(sum(row[f"train_{part}_loss"] for part in parts), rel=1e-6)
        assert row["images_per_second"] == pytest.approx(72 / row["seconds"])
        assert row["validation_seconds"] > 0


@pytest.mark.parametrize("ema", [None, 0.9])
def test_epoch_0_is_the_start_judged_as_every_epoch(ema) -> None:
    made = trainer("npda", generator="pgd", beta=1.5, edits={"epochs": 1, "ema": ema})
    start, last = fit(made).history
    model, validation = network(), training().validation
    generator = positioned(model.mean.device, 0, "validation", 0, 0)
    expected = judge(model, store().validation, validation, generator)
    assert {name: value for name, value in start.items() if name in expected} == expected
    assert start.keys() == expected.keys() | {"epoch", "validation_seconds"}
    assert last["validation_clean_loss"] != start["validation_clean_loss"]


def test_judging_the_start_moves_nothing_that_the_training_draws(monkeypatch) -> None:
    settings = {"pad": 1, "edits": {"epochs": 2}, "generator": "pgd", "beta": 1.5}
    expected = fit(trainer("npda", **settings))
    plain = loop.judge

    def greedy(model, split, validation, generator, world):
        torch.rand(1000)
        found = plain(model, split, validation, generator, world)
        torch.rand(7, generator=generator)
        return found

    monkeypatch.setattr(loop, "judge", greedy)
    found = fit(trainer("npda", **settings))
    assert same(found.weights, expected.weights)
    assert without_clock(found.history) == without_clock(expected.history)


def test_sums_of_an_epoch_weigh_every_image_alike() -> None:
    seen = []

    class Watched(Scripted):
        def losses(self, x, x_adv, y, at):
            found = super().losses(x, x_adv, y, at)
            hits = (found.clean_logits.argmax(dim=1) == y).sum().item()
            seen.append((len(y), found.total.item(), hits))
            return found

    _, row = fit(trainer(Watched, edits={"epochs": 1})).history
    assert row["train_loss"] == pytest.approx(sum(count * loss for count, loss, _ in seen) / 72, rel=1e-6)
    assert row["train_clean_accuracy"] == sum(hits for _, _, hits in seen) / 72


def test_rates_are_those_of_the_schedule() -> None:
    made, rates = trainer("standard", edits={"epochs": 3}), []
    step = made.optimizer.step

    def watch() -> None:
        rates.append([group["lr"] for group in made.optimizer.param_groups])
        step()

    made.optimizer.step = watch
    history = fit(made).history
    schedule = training().schedule
    expected = [schedule.rate_at(0.1, Position(step, 15, 5)) for step in range(15)]
    assert rates == [[rate, rate] for rate in expected]
    assert [row["lr"] for row in history[1:]] == expected[4::5]


def test_validation_every_other_epoch_and_always_at_the_end() -> None:
    edits = {"epochs": 5, "validation": {"every": 2}}
    history = fit(trainer("standard", edits=edits)).history
    assert [row["epoch"] for row in history if "validation_clean_accuracy" in row] == [0, 2, 4, 5]
    assert not any("validation_adversarial_accuracy" in row for row in history)


def test_progress_counts_every_step() -> None:
    seen = []
    fit(trainer("standard", edits={"epochs": 2}), progress=lambda steps, text: seen.append((steps, text)))
    assert [steps for steps, _ in seen] == list(range(1, 11))
    assert seen[0][1].startswith("epoch 1/2 clean 0.")
    assert seen[-1][1].startswith("epoch 2/2 clean 0.")


def test_validation_time_is_not_counted_as_training(monkeypatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
    made = trainer("standard", edits={"epochs": 1})

    def slow_judge(*_):
        for _ in range(1000):
            next(clock)
        return SCORES

    monkeypatch.setattr(loop, "judge", slow_judge)
    start, row = fit(made).history
    assert row["seconds"] < 100
    assert start["validation_seconds"] > 1000


# -------------------------------------------------------------------------------------- the selection
def scripted_scores(monkeypatch, scores: list[tuple[float, float]]) -> list[dict[str, torch.Tensor]]:
    """Makes the validation return these (adversarial, clean) accuracies; the weights judged are kept.

    The start, which is judged first and beats all, is not among them.
    """
    judged: list[dict[str, torch.Tensor]] = []
    started = []

    def judge(model, *_):
        if not started:
            started.append(True)
            return {"validation_adversarial_accuracy": 1.0, "validation_clean_accuracy": 1.0}
        adversarial, clean = scores[len(judged)]
        judged.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"validation_adversarial_accuracy": adversarial, "validation_clean_accuracy": clean}

    monkeypatch.setattr(loop, "judge", judge)
    return judged


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(0.1, 0.9), (0.3, 0.5), (0.2, 0.95)], 2),
        ([(0.3, 0.5), (0.3, 0.6), (0.3, 0.4)], 2),  # clean accuracy breaks ties
        ([(0.3, 0.5), (0.3, 0.5), (0.3, 0.5)], 1),  # then the first
        ([(0.0, 0.0), (0.0, 0.0), (0.0, 0.1)], 3),
    ],
)
@pytest.mark.parametrize("ema", [None, 0.5])
def test_best_epoch_is_kept(scores, best, ema, monkeypatch) -> None:
    judged = scripted_scores(monkeypatch, scores)
    outcome = fit(trainer("standard", edits={"ema": ema}))
    assert outcome.selected_epoch == best
    assert same(outcome.weights, judged[best - 1])


@pytest.mark.parametrize("ema", [None, 0.5])
def test_last_epoch_is_kept_if_asked_for(ema, monkeypatch) -> None:
    judged = scripted_scores(monkeypatch, [(0.9, 0.9), (0.1, 0.1), (0.1, 0.1)])
    made = trainer("standard", edits={"ema": ema, "select": "last"})
    outcome = fit(made)
    assert outcome.selected_epoch == 3
    assert same(outcome.weights, judged[2])
    live = made.model.state_dict()
    assert same(outcome.weights, live) == (ema is None)


def test_without_an_attack_the_clean_accuracy_decides(monkeypatch) -> None:
    clean = iter([0.9, 0.2, 0.6, 0.4])  # the start first, which is no candidate
    monkeypatch.setattr(loop, "judge", lambda *_: {"validation_clean_accuracy": next(clean)})
    assert fit(trainer("standard")).selected_epoch == 2


def test_judging_changes_nothing(monkeypatch) -> None:
    plain = fit(trainer("trades", beta=1.0, edits={"select": "last"}))
    rare = fit(trainer("trades", beta=1.0, edits={"select": "last", "validation": {"every": 3}}))
    assert same(plain.weights, rare.weights)


def test_average_follows_the_weights_of_every_step() -> None:
    decay, made = 0.8, trainer("standard", edits={"ema": 0.8, "epochs": 2, "select": "last"})
    expected = {name: p.detach().double() for name, p in made.model.named_parameters()}

    def follow(steps: int, text: str) -> None:
        for name, parameter in made.model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach().double()

    outcome = fit(made, progress=follow)
    for name, value in expected.items():
        torch.testing.assert_close(outcome.weights[name].double(), value, rtol=1e-5, atol=1e-6)
    assert same(
        {name: value for name, value in outcome.weights.items() if "running" in name},
        {name: value for name, value in made.model.state_dict().items() if "running" in name},
    )


# ------------------------------------------------------------------------------------------------ bf16
def test_bfloat16_trains_nearly_alike_with_float32_weights() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        made = trainer("trades", beta=1.0, edits={"precision": precision, "optimizer": {"lr": 0.01}})
        outcome = fit(made)
        assert all(v.dtype != torch.bfloat16 for v in outcome.weights.values())
        losses.append([row["train_loss"] for row in outcome.history[1:]])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_validation_is_in_float32_whatever_the_training(monkeypatch) -> None:
    kinds = []

    def judge(model, split, *_):
        kinds.append(model(to_float(split.images)).dtype)
        return SCORES

    monkeypatch.setattr(loop, "judge", judge)
    fit(trainer("standard", edits={"precision": "bf16"}))
    assert kinds == [torch.float32] * 4


def test_saves_after_every_epoch_and_when_time_has_passed() -> None:
    rare, often = [], []
    fit(trainer("standard"), save=lambda state: rare.append((state.epoch, state.step)))
    fit(
        trainer("standard"), save=lambda state: often.append((state.epoch, state.step)), checkpoint_seconds=-1
    )
    assert rare == [(1, 0), (2, 0), (3, 0)]
    steps = [(epoch, step) for epoch in range(3) for step in range(1, 6)]
    assert often == sorted([*steps, (1, 0), (2, 0), (3, 0)])
