"""What the interface promises to methods of others, one file each in `own_methods`."""

import sys
from pathlib import Path

import pytest
import torch
from memory import Budget
from own_member import METHODS, made
from own_methods import clipping
from own_methods.conditional import dropping
from small_trainings import fit, same, without_clock

from robustfront.errors import ConfigError, Interrupted
from robustfront.models.weights import load_weights
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.launch import launch
from robustfront.training.world import World

CASES = [*((name, {}) for name in METHODS), ("conditional", {"architecture": dropping})]
BY_NAME = pytest.mark.parametrize("name", METHODS)
BY_CASE = pytest.mark.parametrize(
    ("name", "how"), CASES, ids=[f"{name}{'-dropout' if how else ''}" for name, how in CASES]
)


def furthest(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    return max((found[name] - value).abs().max().item() for name, value in expected.items())


@BY_CASE
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_in_mid_epoch_and_resumed_it_is_the_same_training(name, how, precision, tmp_path) -> None:
    how = how | {"edits": {"precision": precision}}
    undisturbed = fit(made(name, **how))
    path, stopped = tmp_path / "checkpoint.safetensors", made(name, **how)
    with pytest.raises(Interrupted):
        fit(
            stopped,
            save=lambda state: state.save(path),
            stop_requested=lambda: stopped.steps_done == 8,
        )
    resumed = made(name, **how)
    resumed.restore(Checkpoint.load(path, "a-run"))
    outcome = fit(resumed)
    assert same(outcome.weights, undisturbed.weights)
    assert without_clock(outcome.history) == without_clock(undisturbed.history)


@BY_CASE
@pytest.mark.parametrize("share", [0.9, 0.8])
def test_less_memory_gives_the_same_training(name, how, share) -> None:
    plenty = Budget()
    expected = fit(plenty.given_to(made(name, dtype=torch.float64, **how)))
    scarce = Budget(share * plenty.most)
    with pytest.warns(UserWarning, match="memory ran out"):
        found = fit(scarce.given_to(made(name, dtype=torch.float64, **how)))
    assert scarce.failures
    assert furthest(found.weights, expected.weights) < 1e-11


@pytest.fixture(scope="module")
def by_two(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    member = Path(__file__).with_name("own_member.py")
    assert launch([sys.executable, str(member), str(folder)], [torch.device("cpu")] * 2) == 0
    return folder


@BY_NAME
def test_two_processes_train_as_one_does(name, by_two) -> None:
    alone = fit(made(name, dtype=torch.float64))
    first, second = (load_weights(by_two / f"{name}-{rank}.safetensors") for rank in range(2))
    assert same(first, second), "to the bit"
    assert furthest(first, alone.weights) < 1e-10


@BY_CASE
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_has_an_effect(name, how, precision) -> None:
    how = how | {"edits": {"precision": precision, "epochs": 2}}
    without, with_it = (fit(made(name, strength, **how)).weights for strength in (0.0, 1.0))
    assert furthest(with_it, without) > 1e-3


def test_a_network_with_dropout_is_trained_by_one_process() -> None:
    with pytest.raises(ConfigError, match=r"has dropout \('block\.2'\)"):
        made("conditional", architecture=dropping, world=World(0, 2))


def test_weights_are_clipped_before_they_are_judged() -> None:
    kept = fit(made("clipping", edits={"select": "best", "ema": None})).weights
    largest = torch.linalg.matrix_norm(kept["head.weight"], 2).item()
    assert largest == pytest.approx(clipping.BOUND, rel=1e-5)
