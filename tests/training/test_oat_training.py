"""Once-for-all trainings: stopped in mid-epoch, short of memory, on one device; judged at several lambdas."""

from pathlib import Path
from typing import Any

import pytest
import torch
from memory import Budget
from small_trainings import CLASSES, fit, same, split, trainer, without_clock

from robustfront.attacks.draws import PartGenerator
from robustfront.config.images import Normalisation
from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.config.networks.film_wide_resnet import FilmWideResNet
from robustfront.config.schema import Validation
from robustfront.errors import ConfigError, Interrupted
from robustfront.models import Classifier, build
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.judge import judge
from robustfront.training.loop import Trainer
from robustfront.training.world import World

FILM = {"width": 8, "dual_norm": True}


def dropping(film: dict[str, Any] | None = FILM) -> Classifier:
    """A conditional network with dual batch norm and dropout."""
    settings = {"depth": 10, "widening_factor": 1, "width": 4, "dropout": 0.3, "film": film}
    torch.manual_seed(0)
    config, normalisation = FilmWideResNet.model_validate(settings), Normalisation(mean=(0.0,), std=(1.0,))
    model = build(config, channels=1, classes=CLASSES, normalisation=normalisation)
    return model.to(memory_format=torch.channels_last)


def made(**how: Any) -> Trainer:
    edits = {"drop_last": True, "epochs": 2} | how.pop("edits", {})
    return trainer("oat", pad=1, architecture=dropping, edits=edits, **how)


@pytest.mark.parametrize("stop", [3, 6])
def test_stopped_and_resumed_is_the_same_training(stop: int, tmp_path: Path) -> None:
    path, stopped, resumed = tmp_path / "checkpoint.safetensors", made(), made()
    undisturbed = fit(made())
    with pytest.raises(Interrupted):
        fit(
            stopped,
            save=lambda state: state.save(path),
            stop_requested=lambda: stopped.steps_done == stop,
        )
    resumed.model.encoding.rows.zero_()  # codes are part of the state
    resumed.restore(Checkpoint.load(path, "a-run"))
    found = fit(resumed)
    assert same(found.weights, undisturbed.weights)
    assert without_clock(found.history) == without_clock(undisturbed.history)


def test_less_memory_gives_the_same_training_masks_of_dropout_included() -> None:
    plenty = Budget()
    expected = fit(plenty.given_to(made(dtype=torch.float64)))
    short = made(dtype=torch.float64)
    with pytest.warns(UserWarning, match="memory ran out"):
        found = fit(Budget(0.5 * plenty.most).given_to(short))
    assert short.gradients.recompute
    for key, value in expected.weights.items():
        torch.testing.assert_close(found.weights[key], value, rtol=0, atol=1e-11, msg=key)


def test_a_network_that_splits_its_batches_is_trained_on_one_device() -> None:
    with pytest.raises(ConfigError, match=r"splits its batches \('trunk.*norm'\)"):
        made(world=World(0, 2))


def test_validation_is_the_mean_over_its_conditions_and_others_do_not_hear_them() -> None:
    attacked = {"threat": {"eps": 0.1}, "attack": {"steps": 3, "step_size": 0.05, "start": "none"}}
    torch.manual_seed(0)
    config = FilmResNet.model_validate({"depth": 10, "width": 2, "film": {"width": 8, "usual": 0.3}})
    how: dict[str, Any] = {
        "channels": 1,
        "classes": CLASSES,
        "normalisation": Normalisation(mean=(0.3,), std=(0.25,)),
    }
    model, data = build(config, **how), split(50, 3)

    def judged(network: Classifier, **more: Any) -> dict[str, float]:
        return judge(network, data, Validation.model_validate(attacked | more), PartGenerator())

    single = {value: judged(model, conditions=[value]) for value in (0.0, 0.3, 1.0)}
    assert len({tuple(found.values()) for found in single.values()}) == 3
    together = judged(model, conditions=[0.0, 1.0])
    mean = {name: (single[0.0][name] + single[1.0][name]) / 2 for name in together}
    assert together == pytest.approx(mean, rel=1e-6)
    assert judged(model) == single[0.3]
    twin = build(config.model_copy(update={"film": None}), **how)
    assert judged(twin, conditions=[0.0, 1.0]) == judged(twin)
