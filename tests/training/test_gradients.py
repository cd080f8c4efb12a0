"""Memory that runs out in a training, simulated by a budget for what backward passes keep."""

import pytest
import torch
from memory import Budget
from small_trainings import Scripted, batchwise, fit, trainer, without_clock

METHODS = [
    ("standard", {"loss": "ce"}),
    ("pgd_at", {}),
    ("trades", {"beta": 1.5}),
    ("npda", {"generator": "pgd", "beta": 1.5}),
    ("ca_at", {"gamma": 0.7, "adversarial_loss": "clp"}),
]


def trained(name, params, budget: Budget):
    """In float64, as attacks magnify rounding."""
    made = trainer(name, pad=1, edits={"epochs": 2, "ema": 0.9}, dtype=torch.float64, **params)
    return made, fit(budget.given_to(made))


@pytest.mark.parametrize(("name", "params"), METHODS, ids=[name for name, _ in METHODS])
@pytest.mark.parametrize("share", [0.7, 0.4])
def test_less_memory_gives_the_same_training(name, params, share) -> None:
    plenty = Budget()
    _, expected = trained(name, params, plenty)
    scarce = Budget(share * plenty.most)
    with pytest.warns(UserWarning, match="memory ran out: from here on .*; results stay the same"):
        made, found = trained(name, params, scarce)
    assert scarce.failures
    assert made.gradients.recompute
    for key, value in expected.weights.items():
        assert torch.allclose(found.weights[key], value, rtol=0, atol=1e-11), key
        if key.endswith("num_batches_tracked"):
            assert torch.equal(found.weights[key], value)
    for row, wanted in zip(without_clock(found.history), without_clock(expected.history), strict=True):
        assert row == pytest.approx(wanted, rel=1e-11, abs=1e-11)


def test_the_attack_is_made_in_parts_too() -> None:
    plenty = Budget()
    trained("trades", {"beta": 1.5}, plenty)
    with pytest.warns(UserWarning, match="the attack is made in 2 parts"):
        made, _ = trained("trades", {"beta": 1.5}, Budget(0.25 * plenty.most))
    assert made.gradients.parts >= 2
    assert "activations are computed again" in made.gradients.economies


def test_an_attack_on_a_network_that_looks_at_batches_is_not_made_in_parts() -> None:
    params, plenty = {"beta": 1.5, "architecture": batchwise}, Budget()
    trained("trades", params, plenty)
    with pytest.raises(torch.OutOfMemoryError):
        trained("trades", params, Budget(0.25 * plenty.most))


@pytest.mark.parametrize("case", [("frl", {"beta": 1.5}), ("pgd_at", {"attack_mode": "train"})])
def test_what_cannot_be_had_for_less_fails_as_before(case) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        trained(*case, Budget(100))


def test_another_error_is_no_lack_of_memory() -> None:
    class Broken(Scripted):
        per_image = True

        def losses(self, x, x_adv, y, at):
            raise RuntimeError("a bug")

    made = trainer(Broken)
    with pytest.raises(RuntimeError, match="a bug"):
        fit(made)
    assert made.gradients.economies is None
