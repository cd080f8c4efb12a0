"""What the loop tells hooks, and what it makes of what they do."""

import pytest
import torch
from small_trainings import CLASSES, Scripted, fit, network, same, store, trainer, without_clock

from robustfront import losses
from robustfront.attacks import stand_in
from robustfront.data.augment import to_float
from robustfront.errors import ConfigError, Interrupted
from robustfront.methods.base import Average, Losses
from robustfront.methods.perturbation import perturbed


class Watching(Scripted):
    """Notes when which hook is called."""

    def __init__(self, model):
        super().__init__(model)
        self.calls = []

    def note(self, hook, at):
        self.calls.append((hook, at.epoch, at.step, at.replay))

    def start_epoch(self, validation, at):
        self.note("start", at)

    def losses(self, x, x_adv, y, at):
        self.note("losses", at)
        self.seen = to_float(store().train.images[at.indices]), x, at.steps_done
        return super().losses(x, x_adv, y, at)

    def after_step(self, at):
        self.note("after", at)

    def end_epoch(self, at):
        self.note("end", at)

    def diagnostics(self, at):
        self.note("diagnostics", at)
        return {}


class Replaying(Watching):
    @classmethod
    def replays(cls, params):
        return 3


def test_hooks_are_called_in_order_with_their_position() -> None:
    made = trainer(Watching, edits={"epochs": 2})
    fit(made)
    epochs = [
        [
            ("start", epoch, 0, 0),
            *((hook, epoch, step, 0) for step in range(5) for hook in ("losses", "after")),
            ("end", epoch, 5, 0),
            ("diagnostics", epoch, 5, 0),
        ]
        for epoch in range(2)
    ]
    assert made.method.calls == [call for calls in epochs for call in calls]


def test_indices_are_those_of_the_images() -> None:
    made = trainer(Watching, edits={"epochs": 1})
    fit(made)
    expected, found, done = made.method.seen
    assert torch.equal(found, expected)
    assert done == 4


# ---------------------------------------------------------------------------------------------------- replays
def test_a_batch_is_trained_on_again_as_it_was_augmented() -> None:
    made = trainer(Replaying, pad=2, edits={"epochs": 2})
    history = fit(made).history
    images, once = made.method.images, trainer(Scripted, pad=2, edits={"epochs": 2})
    fit(once)
    assert len(images) == 2 * 5 * 3
    for index, expected in enumerate(once.method.images):
        assert all(torch.equal(images[3 * index + replay], expected) for replay in range(3))
    assert [at[2:] for at in made.method.calls if at[:2] == ("losses", 1)] == [(s, s % 3) for s in range(15)]
    assert history[1]["images_per_second"] * history[1]["seconds"] == pytest.approx(3 * 72)
    assert 0 < history[1]["train_clean_accuracy"] <= 1


def test_a_training_resumes_between_replays() -> None:
    whole, stopped, kept = trainer(Replaying, pad=1), trainer(Replaying, pad=1), []
    with pytest.raises(Interrupted):
        fit(stopped, save=kept.append, stop_requested=lambda: stopped.steps_done == 20)
    saved = {group: {k: v.clone() for k, v in values.items()} for group, values in kept[-1].groups.items()}
    kept[-1].groups = saved
    resumed = trainer(Replaying, pad=1)
    resumed.restore(kept[-1])
    outcomes = fit(resumed), fit(whole)
    assert same(*(outcome.weights for outcome in outcomes))
    assert without_clock(outcomes[0].history) == without_clock(outcomes[1].history)


# ------------------------------------------------------------------------------------------ perturbed weights
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_perturbed_weights_have_an_effect_inside_one_autocast_region(precision) -> None:
    model, x = network().eval(), to_float(store().train.images[:4])
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    deltas = {name: 0.5 * torch.randn_like(p) for name, p in model.named_parameters() if p.ndim > 1}
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        logits = model(x)
        with perturbed(model, deltas):
            moved = model(x)
            copied = stand_in(model, x)(x)
        again = model(x)
    assert (moved - logits).abs().max() > 0.1
    assert (copied - logits).abs().max() > 0.1
    assert torch.equal(again, logits)
    assert same(dict(model.named_parameters()), before)


def test_perturbed_weights_come_back_whatever_happens() -> None:
    model = network()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    wrong = {"stem.weight": torch.ones_like(model.stem.weight), "head.weight": torch.ones(2)}
    with pytest.raises(RuntimeError), perturbed(model, wrong):
        raise AssertionError("delta of another shape")
    with pytest.raises(KeyError), perturbed(model, {"stem.wieght": torch.ones(1)}):
        raise AssertionError("unknown name")
    with pytest.raises(ZeroDivisionError), perturbed(model, {"head.bias": torch.ones(CLASSES)}):
        1 / 0  # noqa: B018
    assert same(dict(model.named_parameters()), before)


class Careless(Scripted):
    """Changes weights, a state and torch's global randomness before memory runs out, once."""

    per_image = True

    def __init__(self, model, fails):
        super().__init__(model)
        self.fails, self.total = fails, torch.zeros(3)

    def craft(self, x, y, at):
        self.total += torch.rand(3)
        with torch.no_grad():
            self.model.head.weight.mul_(0.9)

    def losses(self, x, x_adv, y, at):
        found = super().losses(x, x_adv, y, at)
        if self.fails and at.steps_done == 3:
            self.fails = False
            raise MemoryError
        return found

    def state(self):
        return {"total": self.total}

    def load_state(self, state):
        self.total.copy_(state["total"])


def test_what_a_hook_changed_is_put_back_before_it_is_called_again() -> None:
    calm, failing = (trainer(lambda model, fails=fails: Careless(model, fails)) for fails in (False, True))
    calm.gradients.recompute = True  # what the other does from its failure on
    expected = fit(calm).weights
    with pytest.warns(UserWarning, match="memory ran out"):
        found = fit(failing).weights
    assert torch.equal(failing.method.total, calm.method.total)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------------- averages
class Averaged(Scripted):
    @classmethod
    def averages(cls, params):
        return {
            "late": Average(0.8, start=1),
            "ramped": Average(0.9, ramp=4, buffers="averaged"),
        }

    def losses(self, x, x_adv, y, at):
        assert set(at.averages) == {"late", "ramped", "ema"}
        self.at_first = {
            name: {key: value.clone() for key, value in average.state_dict().items()}
            for name, average in at.averages.items()
        }
        return super().losses(x, x_adv, y, at)


def test_averages_follow_what_they_declare() -> None:
    made = trainer(Averaged, edits={"epochs": 2, "ema": 0.7})
    live = {name: value.clone().double() for name, value in made.model.state_dict().items()}
    expected = {name: dict(live) for name in ("late", "ramped", "ema")}

    def follow(steps, text):
        step = steps - 1
        decays = {
            "late": 0.0 if step < 5 else 0.8,
            "ramped": min(0.9, (1 + step) / (4 + step)),
            "ema": 0.7,
        }
        now = made.model.state_dict()
        for name, decay in decays.items():
            for key, value in now.items():
                buffer = "running" in key or "tracked" in key
                d = 0.0 if "tracked" in key or (buffer and name != "ramped") else decay
                expected[name][key] = d * expected[name][key] + (1 - d) * value.double()

    fit(made, progress=follow)
    for name, average in made.averages.items():
        for key, value in average.model.state_dict().items():
            torch.testing.assert_close(value.double(), expected[name][key], rtol=1e-5, atol=1e-5)


def test_the_judged_average_may_begin_late_and_on_a_ramp() -> None:
    made = trainer(
        Scripted, edits={"epochs": 3, "ema": {"decay": 0.5, "ramp": 4, "start": 1}, "select": "last"}
    )
    expected: dict[str, torch.Tensor] = {}

    def follow(steps, text):
        n = steps - 1 - 5  # steps of averaging before this one; an epoch has 5 steps
        d = min(0.5, (1 + n) / (4 + n)) if n >= 0 else 0.0
        for key, value in made.model.state_dict().items():
            now, buffer = value.double(), "running" in key or "tracked" in key
            expected[key] = now if buffer or not d else d * expected[key] + (1 - d) * now

    kept = fit(made, progress=follow).weights
    assert not same(kept, made.model.state_dict())
    for key, value in kept.items():
        torch.testing.assert_close(value.double(), expected[key], rtol=1e-5, atol=1e-6)


def test_an_average_cannot_take_the_name_of_the_judged_one() -> None:
    class Clashing(Scripted):
        @classmethod
        def averages(cls, params):
            return {"ema": Average(0.9)}

    with pytest.raises(ConfigError, match="cannot be called 'ema'"):
        trainer(Clashing)


# ------------------------------------------------------------------------------------------- parts' gradients
def test_gradients_of_parts_add_up_to_that_of_the_loss() -> None:
    class Both(Scripted):
        def losses(self, x, x_adv, y, at):
            clean, shifted = self.model(x), self.model(1 - x)
            found = {"a": losses.cross_entropy(clean, y).mean(), "b": shifted.square().mean()}
            return Losses(found, clean_logits=clean)

        def combine(self, losses, at):
            parts = self.parts_gradients(losses, at)
            assert list(parts) == ["a", "b"]
            self.write_gradients({name: parts["a"][name] + parts["b"][name] for name in parts["a"]})

    class Whole(Both):
        combine = Scripted.combine

    apart, together = (fit(trainer(kind, edits={"epochs": 1})).weights for kind in (Both, Whole))
    for name, value in together.items():
        torch.testing.assert_close(apart[name], value, rtol=1e-4, atol=1e-5)
