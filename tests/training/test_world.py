"""Two processes on the CPU against one: the same training but for the order of additions."""

import json
import sys
from pathlib import Path

import pytest
import torch
from small_trainings import fit, same, trainer, without_clock
from torch import Tensor
from world_member import METHODS, interrupted, made

from robustfront.errors import ConfigError
from robustfront.models.weights import load_weights
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.launch import launch
from robustfront.training.world import ALONE, World

MEMBER = Path(__file__).with_name("world_member.py")
ROUNDING = 1e-11
"""In float64; a step in float32 differs by 1e-7, which the sign of a gradient may turn into another image."""


@pytest.fixture(scope="module")
def by_two(tmp_path_factory) -> Path:
    """The folder that a world of two has written."""
    folder = tmp_path_factory.mktemp("world")
    interrupted("npda").save(folder / "begun-by-one.safetensors")
    code = launch([sys.executable, str(MEMBER), str(folder)], [torch.device("cpu")] * 2)
    assert code == 0
    return folder


def assert_same_history(found: list[dict], expected: list[dict]) -> None:
    for row, wanted in zip(without_clock(found), without_clock(expected), strict=True):
        assert row == pytest.approx(wanted, rel=ROUNDING, abs=ROUNDING)


def furthest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    return max((found[name] - value).abs().max().item() for name, value in expected.items())


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_train_as_one_does(name, by_two) -> None:
    alone = fit(made(name))
    first, second = (load_weights(by_two / f"{name}-{rank}.safetensors") for rank in range(2))
    assert same(first, second), "to the bit"
    assert furthest(first, alone.weights) < ROUNDING
    histories = [json.loads((by_two / f"{name}-{rank}.json").read_text()) for rank in range(2)]
    assert without_clock(histories[0]) == without_clock(histories[1])
    assert_same_history(histories[0], alone.history)


def test_a_training_may_go_on_in_a_world_of_another_size(by_two) -> None:
    undisturbed = fit(made("npda")).history
    for rank in range(2):
        assert_same_history(json.loads((by_two / f"resumed-{rank}.json").read_text()), undisturbed)
    alone = made("npda")
    alone.restore(Checkpoint.load(by_two / "begun-by-two.safetensors", "a-run"))
    assert_same_history(fit(alone).history, undisturbed)


def test_shares_of_a_batch_are_all_of_it_and_nearly_equal() -> None:
    for count in (7, 16, 100):
        rows = [list(range(count))[World(rank, 3).rows(count)] for rank in range(3)]
        assert [row for part in rows for row in part] == list(range(count))
        assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_a_batch_too_small_to_share_out_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training\.batch_size: 16 leaves 2 of the 66 .* for 3 devices"):
        trainer("standard", images=66, world=World(0, 3))


def test_one_process_exchanges_nothing() -> None:
    tensor = torch.ones(3)
    ALONE.add([tensor])
    ALONE.collect([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert ALONE.any(True, False) == [True, False]
