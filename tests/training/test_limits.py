"""Limits of a training whatever its method: the norm of gradients, and the singular values of layers."""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from small_trainings import Scripted, fit, network, same, trainer, training, without_clock

from robustfront.models import spectra
from robustfront.training.checkpoint import Checkpoint

PLAIN = {"optimizer": {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}, "schedule": {"kind": "constant"}}


def first_step(clip: float | None) -> torch.Tensor:
    """By how much one step moved the weights, as one vector."""
    made = trainer(Scripted, edits=PLAIN | {"clip_gradients": clip, "epochs": 1}, images=16)
    before = torch.cat([p.detach().flatten() for p in made.model.parameters()])
    fit(made)
    return torch.cat([p.detach().flatten() for p in made.model.parameters()]) - before


def test_the_gradients_of_a_step_are_no_longer_than_asked() -> None:
    free = first_step(None)
    length = free.norm().item()
    clipped = first_step(length / 0.1 / 4)  # the rate is 0.1
    assert torch.allclose(clipped, free / 4, atol=1e-6)
    assert torch.equal(first_step(10 * length / 0.1), free)


def test_layers_are_held_to_a_limit_before_they_are_judged() -> None:
    made = trainer("pgd_at", edits={"spectral_limit": 0.5, "epochs": 2, "select": "last"})
    outcome = fit(made)
    kept = network()
    kept.load_state_dict(outcome.weights)
    norms = [layer.norm() for layer in spectra.layers(kept, torch.zeros(1, 1, 8, 8))]
    row = outcome.history[-1]
    assert row["spectral_norm"] == pytest.approx(max(norms), rel=1e-5)
    assert row["spectral_norm_log10_product"] == pytest.approx(sum(map(math.log10, norms)), rel=1e-4)
    assert row["spectral_norm_before_limit"] > row["spectral_norm"]
    head = torch.linalg.svdvals(kept.head.weight)[0].item()
    assert head <= 0.5 * (1 + 1e-5)  # of a matrix exactly
    assert "spectral_norm" not in outcome.history[0]  # the start is as it is


def test_a_resumed_training_is_limited_alike(tmp_path: Path) -> None:
    edits, path = {"spectral_limit": 1.0, "epochs": 2}, tmp_path / "checkpoint.safetensors"

    def after_the_first_epoch(state: Checkpoint) -> None:
        if (state.epoch, state.step) == (1, 0):
            state.save(path)

    wanted = fit(trainer("pgd_at", edits=edits), save=after_the_first_epoch)
    again = trainer("pgd_at", edits=edits)
    again.restore(Checkpoint.load(path, "a-run"))
    found = fit(again)
    assert same(found.weights, wanted.weights)
    assert without_clock(found.history) == without_clock(wanted.history)


def test_an_average_of_the_weights_is_not_limited() -> None:
    with pytest.raises(ValidationError, match="spectral_limit"):
        training(spectral_limit=1.0, ema=0.9)
