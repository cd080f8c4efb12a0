import math
from typing import Any, ClassVar

import pandas as pd
import pytest
import torch
from small_trainings import Scripted, fit, trainer

from robustfront.errors import ConfigError, TrainingDiverged
from robustfront.training import loop
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.history import write_history


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_training_early(bad) -> None:
    made = trainer(
        lambda model: Scripted(model, lambda step: bad if step == 12 else 1.0),
        images=640,
        edits={"batch_size": 4, "epochs": 2},
    )
    with pytest.raises(
        TrainingDiverged, match=r"a-run: the loss by epoch 1, step 50 is no finite number; lower"
    ):
        fit(made)
    assert len(made.method.images) == 50 < made.steps_per_epoch


def test_the_last_good_checkpoint_is_kept(tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    made = trainer(lambda model: Scripted(model, lambda step: math.nan if step == 11 else 1.0))
    with pytest.raises(TrainingDiverged, match="epoch 3"):
        fit(made, save=lambda state: state.save(path), checkpoint_seconds=0)
    kept = Checkpoint.load(path, "a-run")
    assert (kept.epoch, kept.step) == (2, 1)
    assert all(value.isfinite().all() for value in kept.groups["model"].values())
    good = trainer(Scripted)
    good.restore(kept)
    assert fit(good).history[-1]["epoch"] == 3


def test_weights_that_are_no_numbers_are_not_saved(tmp_path) -> None:
    path = tmp_path / "checkpoint.safetensors"

    class Poisoned(Scripted):
        def after_step(self, at) -> None:
            if len(self.images) == 10:  # the last step of the second epoch: no loss shows it yet
                self.model.stem.weight.detach()[0] = math.nan

    made = trainer(Poisoned, edits={"validation": {"every": 3}})
    with pytest.raises(TrainingDiverged, match="a weight after 10 of 15 steps"):
        fit(made, save=lambda state: state.save(path))
    assert Checkpoint.load(path, "a-run").epoch == 1


def test_validation_that_is_no_number_stops_the_training(monkeypatch) -> None:
    row = {"validation_clean_loss": math.nan, "validation_clean_accuracy": 0.1}
    monkeypatch.setattr(loop, "judge", lambda *_: row)
    saved = []
    with pytest.raises(TrainingDiverged, match="validation_clean_loss of epoch 1 is no finite number"):
        fit(trainer("standard"), save=saved.append)
    assert not saved


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_logged_quantity_without_a_value_is_no_divergence(bad, tmp_path) -> None:
    class Logging(Scripted):
        def diagnostics(self, at):
            return {"share": bad if at.epoch == 1 else 0.5}

    path = tmp_path / "checkpoint.safetensors"
    outcome = fit(trainer(Logging), save=lambda state: state.save(path))
    logged = [row.get("share") for row in outcome.history]
    assert logged[:2] == [None, 0.5]
    assert str(logged[2]) == str(bad)
    write_history(outcome.history, tmp_path / "history.csv")
    found = pd.read_csv(tmp_path / "history.csv")["share"]
    assert list(found.notna()) == [False, True, not math.isnan(bad), True]
    good = trainer(Logging)
    good.restore(Checkpoint.load(path, "a-run"))
    assert str(fit(good).history[2]["share"]) == str(bad)


def test_what_a_method_logs_are_numbers_and_no_columns_of_the_loop() -> None:
    class Logging(Scripted):
        logged: ClassVar[dict[str, Any]] = {"share": torch.tensor(0.5)}

        def diagnostics(self, at):
            return self.logged

    assert fit(trainer(Logging)).history[1]["share"] == 0.5
    Logging.logged = {"lr": 3.0, "share": 0.5}
    with pytest.raises(ConfigError, match=r"Logging\.diagnostics has columns of the loop: lr"):
        fit(trainer(Logging))


def test_a_learning_rate_far_too_high_is_told() -> None:
    edits = {"optimizer": {"lr": 1e30, "momentum": 0.9}, "schedule": {"kind": "constant"}}
    with pytest.raises(TrainingDiverged, match=r"lower training\.optimizer\.lr"):
        fit(trainer("trades", beta=6.0, edits=edits))
