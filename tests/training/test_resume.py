import random
from pathlib import Path

import pytest
import torch
from small_trainings import fit, network, same, trainer, without_clock

from robustfront.errors import Interrupted
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.loop import Outcome

CASES = {
    "standard": {},
    "npgd": {"generator": "trades", "beta": 1.5},
    "npda": {"generator": "pgd", "beta": 1.5},
    "ca_at": {"gamma": 0.7},
}
EDITS = {"standard": {}, "npgd": {"ema": 0.9}, "npda": {"precision": "bf16"}, "ca_at": {}}


def fresh(name: str):
    return trainer(name, pad=1, edits=EDITS[name], **CASES[name])


def fit_with_stops(name: str, stops: list[int], path: Path) -> Outcome:
    """Trains in a new trainer after each stop (steps from the start), with only the file between them."""
    for stop in stops:
        made = fresh(name)
        if path.exists():
            made.restore(Checkpoint.load(path, "a-run"))
        with pytest.raises(Interrupted, match=r"a-run: stopped at epoch \d, step \d; the state is saved"):
            fit(
                made,
                save=lambda state: state.save(path),
                stop_requested=lambda m=made, s=stop: m.steps_done == s,
            )
    made = fresh(name)
    made.restore(Checkpoint.load(path, "a-run"))
    return fit(made)


@pytest.mark.parametrize("name", CASES)
def test_stopped_and_resumed_is_the_same_training(name, tmp_path) -> None:
    undisturbed = fit(fresh(name))
    generator = random.Random(name)
    several = sorted(generator.sample(range(1, 16), 4))
    for stops in (several, [5], [15]):  # the ends of the first and the last epoch, before they are judged
        path = tmp_path / f"{len(stops)}-{stops[0]}.safetensors"
        resumed = fit_with_stops(name, stops, path)
        assert same(resumed.weights, undisturbed.weights), stops
        assert resumed.selected_epoch == undisturbed.selected_epoch
        assert without_clock(resumed.history) == without_clock(undisturbed.history)
        assert [row["epoch"] for row in resumed.history] == [0, 1, 2, 3]
        assert all(row["seconds"] > 0 for row in resumed.history[1:])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_and_resumed_is_the_same_training_on_a_gpu(precision, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    path = tmp_path / "checkpoint.safetensors"

    def make():
        edits = {"ema": 0.9, "precision": precision}
        return trainer("npda", generator="pgd", beta=1.5, pad=1, edits=edits, device="cuda")

    undisturbed, stopped, resumed = make(), make(), make()
    expected = fit(undisturbed)
    with pytest.raises(Interrupted):
        fit(
            stopped,
            save=lambda state: state.save(path),
            stop_requested=lambda: stopped.steps_done == 7,
        )
    resumed.restore(Checkpoint.load(path, "a-run"))
    found = fit(resumed)
    assert same(found.weights, expected.weights)
    assert without_clock(found.history) == without_clock(expected.history)


def test_a_crash_loses_only_what_came_after_the_last_save(tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    undisturbed = fit(fresh("npgd"))

    def save_and_crash(state: Checkpoint) -> None:
        state.save(path)
        if (state.epoch, state.step) == (1, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(fresh("npgd"), save=save_and_crash, checkpoint_seconds=-1)
    made = fresh("npgd")
    made.restore(Checkpoint.load(path, "a-run"))
    assert made.steps_done == 8
    assert same(fit(made).weights, undisturbed.weights)


def test_a_finished_but_unwritten_training_needs_no_further_step(tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    first = fit(fresh("npgd"), save=lambda state: state.save(path))
    made, steps = fresh("npgd"), []
    made.restore(Checkpoint.load(path, "a-run"))
    second = fit(made, progress=lambda done, text: steps.append(done))
    assert not steps
    assert same(first.weights, second.weights)
    assert first.history == second.history


def test_momentum_matters_to_a_resume(tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        fit(fresh("standard"), save=lambda state: state.save(path), stop_requested=lambda: True)
    kept = Checkpoint.load(path, "a-run")
    for buffer in kept.groups["momentum"].values():
        buffer.zero_()
    made = fresh("standard")
    made.restore(kept)
    assert not same(fit(made).weights, fit(fresh("standard")).weights)


def test_memory_format_survives(tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        fit(fresh("npgd"), save=lambda state: state.save(path), stop_requested=lambda: True)
    made = fresh("npgd")
    made.restore(Checkpoint.load(path, "a-run"))
    strides = [parameter.stride() for parameter in network().parameters()]
    for model in (made.model, made.average.model):
        assert [parameter.stride() for parameter in model.parameters()] == strides


@pytest.mark.parametrize("group", ["model", "momentum", "average"])
def test_a_checkpoint_of_another_network_does_not_fit(group, tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        fit(fresh("npgd"), save=lambda state: state.save(path), stop_requested=lambda: True)
    kept = Checkpoint.load(path, "a-run")
    kept.groups[group].pop("stem.weight")
    with pytest.raises((KeyError, RuntimeError)):
        fresh("npgd").restore(kept)
