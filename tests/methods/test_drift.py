import numpy as np
import pytest
import torch
from torch import Tensor

from robustfront.data.augment import to_float
from robustfront.methods.drift import Start, root_mean_square
from robustfront.models import nullspace
from toy_models import random_linear

SHAPE = (3, 8, 8)
RNG = np.random.default_rng(0)
IMAGES = torch.from_numpy(RNG.integers(0, 256, (11, *SHAPE), dtype=np.uint8))


def logits(model, images: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return model(to_float(images).double())


def perturb(model, *, head: float = 0.0, body: float = 0.0) -> None:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            size = head if name.startswith("head") else body
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter.add_(size * noise * parameter.abs().mean())


def test_parts_add_up_to_the_difference_of_the_logits(model) -> None:
    before, start = logits(model, IMAGES), Start(model, IMAGES)
    torch.testing.assert_close(start.logits, before, rtol=0, atol=1e-6)
    W_std, h_std = model.head.weight.detach().clone(), model.features(to_float(IMAGES)).detach()
    perturb(model, head=0.3, body=0.2)
    drift = start.drift(model)
    torch.testing.assert_close(drift.logits, logits(model, IMAGES) - before, rtol=0, atol=1e-6)
    torch.testing.assert_close(drift.head, h_std @ (model.head.weight - W_std).T, rtol=0, atol=1e-6)
    W, b_offset = model.head.weight, drift.rest - drift.features @ model.head.weight.T
    torch.testing.assert_close(b_offset, b_offset[:1].expand_as(b_offset), rtol=0, atol=1e-6)
    assert drift.rest.abs().max() > 0.01
    assert W.requires_grad


def test_frozen_features_and_a_head_moved_in_the_null_space_obey_eq_22(model) -> None:
    space = nullspace.compute(model.head.weight, 1e-6)
    start = Start(model, IMAGES)
    offset = space.project(
        torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(1)).double()
    )
    with torch.no_grad():
        model.head.weight.add_(offset)
    drift = start.drift(model)
    summary = drift.summary(space)
    assert (offset @ space.V).abs().max() < 1e-14
    assert summary["logit_drift_rest"] < 1e-12 * summary["logit_drift"]
    assert summary["logit_drift"] == pytest.approx(root_mean_square(start.features @ offset.T))
    assert summary["logit_drift"] > 0.1, "the null space of W_std is not that of the features"
    assert "feature_drift_null_share" not in summary


def test_moved_features_are_what_eq_22_leaves_out(model) -> None:
    space = nullspace.compute(model.head.weight, 1e-6)
    start = Start(model, IMAGES)
    perturb(model, body=0.3)
    summary = start.drift(model).summary(space)
    assert summary["logit_drift_head"] == 0.0
    assert summary["logit_drift_rest"] == summary["logit_drift"] > 0.01
    assert 0 < summary["feature_drift_null_share"] < 1


def test_share_of_a_linear_model_whose_features_are_pixels() -> None:
    model = random_linear(4, SHAPE)
    space, start = nullspace.compute(model.head.weight, 1e-6), Start(model, IMAGES)
    model.mean.add_(0.1)  # every feature moves by -0.1 / std of its channel
    drift = start.drift(model)
    expected = (-0.1 / model.std).expand(1, *SHAPE).flatten(1).double()
    torch.testing.assert_close(drift.features, expected.expand(11, -1), rtol=0, atol=1e-5)
    found = drift.summary(space)["feature_drift_null_share"]
    assert found == pytest.approx(space.share(expected), rel=1e-4)


def test_root_mean_square_is_of_the_norms_of_images() -> None:
    assert root_mean_square(torch.tensor([[3.0, 4.0], [0.0, 0.0]])) == pytest.approx(12.5**0.5)


def test_nothing_has_drifted_at_the_start(model) -> None:
    space = nullspace.compute(model.head.weight, 1e-6)
    summary = Start(model, IMAGES).drift(model).summary(space)
    assert summary == {"logit_drift": 0.0, "logit_drift_head": 0.0, "logit_drift_rest": 0.0}


@pytest.mark.parametrize("training", [True, False])
def test_measuring_changes_neither_mode_nor_state(training, model) -> None:
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Start(model, IMAGES).drift(model)
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
