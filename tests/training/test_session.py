import csv
import os
import signal

import pytest
import torch
from filelock import FileLock
from safetensors import safe_open

from robustfront import artefacts, checksums
from robustfront.errors import ArtefactError, Interrupted, RunLocked, TrainingDiverged
from robustfront.methods import methods
from robustfront.methods.npat import NPGD
from robustfront.models import nullspace, pretrained, weights
from robustfront.training import session
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.loop import Trainer


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_artefacts_of_a_run(small_project) -> None:
    folder = small_project.train("npgd")
    run = small_project.run("npgd")
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "history.csv", "manifest.json"}
    assert not small_project.layout.checkpoint(run.id).exists()
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert run.id in file.metadata()["robustfront"]
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert {name for name, value in rows[0].items() if value} == {
        "epoch",
        "validation_seconds",
        *(f"validation_{view}_{what}" for view in ("clean", "adversarial") for what in ("loss", "accuracy")),
    }
    manifest = artefacts.read_json(folder / "manifest.json")
    assert checksums.differing(folder / "manifest.json", manifest) == []
    assert manifest["checksums"].keys() == {"model.safetensors", "history.csv", "manifest.json"}
    assert manifest["config"] == run.config.model_dump(mode="json")
    start = small_project.run("st")
    assert manifest["ancestors"] == {start.id: start.config.model_dump(mode="json")}
    assert manifest["made_from"] == {
        name: artefacts.sha256(small_project.layout.results / name)
        for name in (
            f"datasets/{run.dataset_id}/images.safetensors",
            f"runs/{start.id}/model.safetensors",
            f"projectors/{run.config.projector}/projector.safetensors",
        )
    }
    assert manifest["run"] == run.id
    assert manifest["names"] == ["small/npgd"]
    assert manifest["init"] == run.config.init
    assert manifest["initial_weights"] == f"run {run.config.init}"
    assert manifest["selected_epoch"] in (1, 2)
    for key in ("seconds", "validation_seconds"):
        assert manifest[key] == pytest.approx(sum(float(row[key] or 0) for row in rows))
    assert manifest["images_per_second"] == pytest.approx(
        sum(float(row["images_per_second"]) for row in rows[1:]) / 2
    )
    assert manifest["selected_on"] == 32
    assert manifest["resumed"] is False
    assert manifest["started"] <= manifest["finished"]
    assert 1e8 < manifest["peak_memory_bytes"] < 1e11
    assert manifest["dataset"] == run.dataset_id


def test_training_starts_from_the_weights_of_its_init(small_project, monkeypatch) -> None:
    seen = []

    def fit(self, watcher):
        seen.append(self)
        raise Interrupted("enough")

    monkeypatch.setattr(Trainer, "fit", fit)
    with pytest.raises(Interrupted):
        small_project.train("npgd")
    (trainer,) = seen
    start = weights.load_weights(small_project.layout.run(small_project.run("st").id) / "model.safetensors")
    state = trainer.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in start.items())
    assert isinstance(trainer.method, NPGD)


def test_a_run_with_an_init_needs_no_pretrained_weights(small_project, monkeypatch) -> None:
    planned = small_project.run("at")
    planned.config = planned.config.model_copy(
        update={"model": planned.config.model.model_copy(update={"pretrained": "imagenet"})}
    )
    monkeypatch.setattr(pretrained, "load_imagenet", lambda *_: pytest.fail("was asked for"))
    session.train(planned, methods, small_project.layout, torch.device("cpu"))


# --------------------------------------------------------------------------------------- a finished run
def test_a_finished_run_is_left_alone(small_project, monkeypatch, capsys) -> None:
    folder = small_project.layout.run(small_project.run("st").id)
    before = contents(folder)
    monkeypatch.setattr(session, "_train", lambda *_: pytest.fail("trained again"))
    small_project.train("st")
    assert contents(folder) == before
    assert f"{folder.name}: is trained already; delete {folder}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "manifest.json"])
def test_a_run_that_lacks_a_file_is_trained_again_to_the_same_bits(name, small_project) -> None:
    folder = small_project.layout.run(small_project.run("st").id)
    before = (folder / "model.safetensors").read_bytes()
    (folder / name).unlink()
    small_project.train("st")
    assert (folder / "model.safetensors").read_bytes() == before
    assert (folder / "manifest.json").is_file()


def test_killed_between_writing_and_cleaning_up(small_project) -> None:
    work = small_project.layout.checkpoint(small_project.run("st").id)
    work.mkdir(parents=True)
    (work / "checkpoint.safetensors").write_bytes(b"left over")
    small_project.train("st")
    assert not work.exists()


# --------------------------------------------------------------------------------------- what may be missing
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("dataset", r"manifest\.json: missing; run `snakemake`"),
        ("init", r"model\.safetensors: missing; run `snakemake`"),
        ("projector", r"projector\.json: missing; run `snakemake`"),
    ],
)
def test_what_is_missing_is_named(missing, message, small_project) -> None:
    run, layout = small_project.run("npgd"), small_project.layout
    folder = {
        "dataset": layout.dataset(run.dataset_id),
        "init": layout.run(run.config.init or ""),
        "projector": layout.projector(run.config.projector or ""),
    }[missing]
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(ArtefactError, match=rf"{folder}.*{message}"):
        small_project.train("npgd")


@pytest.mark.parametrize("features", [16, 9])
def test_projector_of_another_head_is_refused(features, small_project) -> None:
    folder = small_project.layout.projector(small_project.run("npgd").config.projector or "")
    nullspace.compute(torch.randn(4, features), 1e-5).save(folder)
    with pytest.raises(ArtefactError, match=rf"{folder}: is not the null space of the init run's head"):
        small_project.train("npgd")


def test_projector_that_dropped_small_singular_values_is_accepted(small_project) -> None:
    run = small_project.run("npgd")
    folder = small_project.layout.projector(run.config.projector or "")
    head = weights.load_weights(small_project.layout.run(run.config.init or "") / "model.safetensors")[
        "head.weight"
    ]
    coarse = nullspace.compute(head, 0.9)
    assert coarse.rank < 9
    coarse.save(folder)
    small_project.train("npgd")


# --------------------------------------------------------------------------------------- lock and checkpoint
def test_a_run_in_progress_is_locked(small_project) -> None:
    run = small_project.run("npgd")
    lock = small_project.layout.checkpoint(run.id) / "lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(RunLocked, match=rf"{run.id}: another process is at it.*{lock}"):
        small_project.train("npgd")
    small_project.train("npgd")


def test_lock_is_free_after_an_error(small_project, monkeypatch) -> None:
    def diverge(self, watcher):
        watcher.save(self.checkpoint())
        raise TrainingDiverged("x")

    work = small_project.layout.checkpoint(small_project.run("npgd").id)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", diverge)
        with pytest.raises(TrainingDiverged):
            small_project.train("npgd")
    assert (work / "checkpoint.safetensors").is_file(), "the last good state is kept"
    assert (small_project.train("npgd") / "manifest.json").is_file()
    assert not work.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(small_project) -> None:
    small_project.layout.checkpoints.mkdir(exist_ok=True)
    small_project.layout.checkpoints.chmod(0o500)
    with pytest.raises(ArtefactError, match=r"lock: cannot be locked .*; make the folder writable"):
        small_project.train("npgd")


def test_a_file_in_the_way_of_the_checkpoints_is_named(small_project) -> None:
    run = small_project.run("npgd")
    small_project.layout.checkpoints.mkdir(exist_ok=True)
    small_project.layout.checkpoint(run.id).write_text("not a folder")
    with pytest.raises(ArtefactError, match="lock: cannot be locked"):
        small_project.train("npgd")


@pytest.fixture
def stop_after(monkeypatch):
    """`stop_after(n, number)`: this process gets the signal during step n of the training."""

    def arrange(steps: int, number: signal.Signals) -> None:
        step = Trainer._step

        def step_and_kill(self, order) -> None:
            step(self, order)
            if self.steps_done == steps - 1:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Trainer, "_step", step_and_kill)

    return arrange


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_call_goes_on(number, small_project, stop_after) -> None:
    handlers = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    run = small_project.run("npda")
    path = small_project.layout.checkpoint(run.id) / "checkpoint.safetensors"
    stop_after(4, number)
    with pytest.raises(Interrupted, match="stopped at epoch 2, step 1") as error:
        small_project.train("npda")
    assert error.value.exit_code == 75
    assert Checkpoint.load(path, run.id).step == 1
    manifest = artefacts.read_json(small_project.train("npda") / "manifest.json")
    assert manifest["resumed"] is True
    assert not path.parent.exists()
    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == handlers


def test_a_training_that_went_on_under_other_code_says_so(small_project, stop_after, monkeypatch) -> None:
    """Its digest is that of no code, so that it is told as made by other code whatever today's is."""
    run = small_project.run("npda")
    monkeypatch.setattr(session, "training_code", lambda *of: "one")
    stop_after(4, signal.SIGTERM)
    with pytest.raises(Interrupted):
        small_project.train("npda")
    path = small_project.layout.checkpoint(run.id) / "checkpoint.safetensors"
    assert Checkpoint.load(path, run.id).sources == "one"
    monkeypatch.setattr(session, "training_code", lambda *of: "two")
    assert artefacts.read_json(small_project.train("npda") / "manifest.json")["sources"] == "one+two"


def test_a_checkpoint_that_does_not_fit_is_named(small_project, stop_after) -> None:
    run = small_project.run("npda")
    path = small_project.layout.checkpoint(run.id) / "checkpoint.safetensors"
    stop_after(2, signal.SIGTERM)
    with pytest.raises(Interrupted):
        small_project.train("npda")
    kept = Checkpoint.load(path, run.id)
    for group in ("model", "momentum", "average", "method"):
        groups = {name: tensors for name, tensors in kept.groups.items() if name != group}
        Checkpoint(**(vars(kept) | {"groups": groups})).save(path)
        with pytest.raises(
            ArtefactError, match=rf"{path}: the checkpoint does not fit this version of the code"
        ):
            small_project.train("npda")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ArtefactError, match=rf"{path}: the checkpoint is damaged .*; delete {path.parent}"):
        small_project.train("npda")


def test_a_training_begun_from_other_weights_is_not_gone_on_with(small_project, stop_after) -> None:
    run = small_project.run("npda")
    stop_after(2, signal.SIGTERM)
    with pytest.raises(Interrupted):
        small_project.train("npda")
    start = small_project.layout.run(run.config.init) / "model.safetensors"
    tensors = weights.load_weights(start)
    weights.save_weights(
        {name: value + (name == "stem.weight") for name, value in tensors.items()}, start, {}
    )
    with pytest.raises(
        ArtefactError, match=rf"was begun from another runs/{run.config.init}/model.safetensors"
    ):
        small_project.train("npda")


def test_compilation_is_asked_for_and_recorded(small_project, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(session, "compile_stand_ins", asked.append)
    run = small_project.run("npgd")
    session.train(run, methods, small_project.layout, torch.device("cpu"), compiled=True)
    assert asked == [True]
    assert artefacts.read_json(small_project.layout.run(run.id) / "manifest.json")["compiled"] is True
