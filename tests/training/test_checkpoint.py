import json

import pytest
import torch
from safetensors.torch import save_file

from robustfront.errors import ArtefactError
from robustfront.training.checkpoint import Checkpoint

POSITION = {"epoch": 3, "step": 7, "best_score": [0.5, 0.75], "best_epoch": 2, "seconds": 1.25}


@pytest.fixture
def state() -> Checkpoint:
    shared = torch.arange(12.0).view(3, 4)
    groups = {
        "model": {"a.weight": shared, "a.same": shared.T, "count": torch.tensor(5)},
        "best": {"a.weight": torch.rand(1, 3, 2, 2).to(memory_format=torch.channels_last)},
        "sums": {"train_loss": torch.tensor(0.1, dtype=torch.float64)},
        "average": {},
    }
    history = [{"train_loss": 1 / 3, "epoch": 1, "lr": 0.1}]
    return Checkpoint(run_id="a-run", groups=groups, history=history, **POSITION)


def test_what_is_saved_comes_back(state, tmp_path) -> None:
    path = tmp_path / "deep" / "checkpoint.safetensors"
    state.save(path)
    back = Checkpoint.load(path, "a-run")
    assert {name: getattr(back, name) for name in POSITION} == POSITION
    assert back.history == state.history
    assert [*back.history[0]] == [*state.history[0]], "history.csv has its columns in this order"
    assert back.groups.keys() == {"model", "best", "sums"}
    for group, tensors in back.groups.items():
        assert tensors.keys() == state.groups[group].keys()
        for name, value in tensors.items():
            assert value.dtype == state.groups[group][name].dtype
            assert torch.equal(value, state.groups[group][name])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_of_another_run_is_refused(state, tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    state.save(path)
    with pytest.raises(
        ArtefactError, match=rf"{path}: the checkpoint is of the run a-run, not of b-run; delete"
    ):
        Checkpoint.load(path, "b-run")


def header(**facts: object) -> dict[str, str]:
    return {"robustfront": json.dumps({"format": 2, "run_id": "a-run", "history": [], **POSITION} | facts)}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "is damaged"),
        ({"robustfront": "{"}, "is damaged"),
        ({"robustfront": "[1]"}, "is damaged"),
        (header(surprise=1), "is damaged"),
        ({"robustfront": json.dumps({"format": 2, "run_id": "a-run"})}, "is damaged"),
        (header(format=0), "was written by another version"),
    ],
)
def test_a_file_of_another_kind_is_refused(metadata, message, tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_file({"model/weight": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(
        ArtefactError, match=rf"{path}: the checkpoint {message}.*; delete {tmp_path} to train"
    ):
        Checkpoint.load(path, "a-run")


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * len(b)])
def test_a_damaged_file_is_refused(damage, state, tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    state.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtefactError, match=rf"{path}: the checkpoint is damaged"):
        Checkpoint.load(path, "a-run")


def test_a_full_disk_leaves_the_older_checkpoint(state, tmp_path, monkeypatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    state.save(path)
    older = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ArtefactError, match=rf"{path}: cannot be written: No space left"):
        state.save(path)
    assert path.read_bytes() == older
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
