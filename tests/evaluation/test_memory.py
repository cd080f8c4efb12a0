from pathlib import Path

import pytest
import torch
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.attacks.autoattack import autoattack
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.schema import Threat
from robustfront.errors import ArtefactError
from robustfront.evaluation.batches import ascend
from robustfront.evaluation.memory import Memory
from robustfront.evaluation.room import Room
from toy_models import Linear, random_images, random_linear

SHAPE = (3, 6, 6)


class Killed(BaseException):
    pass


@pytest.fixture
def model() -> Linear:
    return random_linear(5, SHAPE, norm=2.0).eval()


@pytest.fixture
def x() -> Tensor:
    return random_images(40, SHAPE)


def attack(name: str, model: Linear, x: Tensor, memory: Memory, *, die_at: int | None = None) -> Tensor:
    """The attack on `x` in batches of 16; its batch number `die_at` never ends."""
    run, asked = memory.of(name), 0

    def counted(perturb, x, labels):
        def until_killed(x, labels):
            if asked == die_at:
                raise Killed
            return perturb(x, labels)

        nonlocal asked
        asked += 1
        return run(until_killed, x, labels)

    labels, ball = model(x).argmax(1), Ball.of(Threat(eps=0.02), model.mean, model.std)
    if name in ("reference", "fast"):
        settings = AutoAttackEvaluation(engine=name)
        return autoattack(model, x, labels, ball, attack=settings, seed=3, batch_size=16, run=counted)
    pgd = PGDEvaluation.model_validate({"steps": 3, "step_size": 0.02, "start": "uniform"})
    positions = torch.arange(len(x))
    return ascend(model, x, labels, positions, ball, pgd, seed=3, room=Room(16), run=counted)["final"]


@pytest.mark.parametrize(("name", "at_least"), [("pgd", 3), ("reference", 6), ("fast", 6)])
def test_killed_at_any_batch_and_run_again_gives_the_same_bits(
    name: str, at_least: int, model: Linear, x: Tensor, tmp_path: Path, small_budget: None
) -> None:
    undisturbed = attack(name, model, x, Memory(tmp_path / "other", "s"))
    batches = len([*tmp_path.glob("other/*")])
    assert batches >= at_least
    for die_at in range(1, batches + 1):
        with pytest.raises(Killed):
            attack(name, model, x, Memory(tmp_path / "m", "s"), die_at=die_at)
        assert len([*tmp_path.glob("m/*")]) == die_at - 1
    memory = Memory(tmp_path / "m", "s")
    assert torch.equal(attack(name, model, x, memory), undisturbed)
    assert memory.spared > 0


def test_a_finished_batch_is_not_computed_again(model: Linear, x: Tensor, tmp_path: Path) -> None:
    first = attack("pgd", model, x, Memory(tmp_path, "s"))
    recalled = Memory(tmp_path, "s").of("pgd")
    labels = model(x).argmax(1)

    def never(*_: Tensor) -> Tensor:
        raise AssertionError("computed again")

    assert torch.equal(recalled(never, x[:16], labels[:16])[0], first[:16])  # of its one outcome
    with pytest.raises(AssertionError):
        recalled(never, x[:16], labels[:16])  # the second batch was another one


@pytest.mark.parametrize("change", ["subject", "images", "labels"])
def test_what_was_computed_of_something_else_is_not_used(change: str, x: Tensor, tmp_path: Path) -> None:
    labels = torch.zeros(len(x), dtype=torch.int64)
    Memory(tmp_path, "s").of("a")(lambda x, y: x + 1, x, labels)
    memory = Memory(tmp_path, "t" if change == "subject" else "s")
    x = x + 0.5 if change == "images" else x
    labels = labels + 1 if change == "labels" else labels
    assert torch.equal(memory.of("a")(lambda x, y: x + 2, x, labels), x + 2)
    assert memory.spared == 0
    assert torch.equal(memory.of("b")(lambda x, y: x + 3, x, labels), x + 3)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_a_damaged_batch_is_named(damage, x: Tensor, tmp_path: Path) -> None:
    labels = torch.zeros(len(x), dtype=torch.int64)
    Memory(tmp_path, "s").of("a")(lambda x, y: x, x, labels)
    path = tmp_path / "a-1.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtefactError, match=rf"{path}: damaged .*; delete it"):
        Memory(tmp_path, "s").of("a")(lambda x, y: x, x, labels)
