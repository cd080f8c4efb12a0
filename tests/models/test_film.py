"""FiLM, dual batch norm and codes against numpy and scipy in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustfront.config.images import Normalisation
from robustfront.config.networks.film import Film
from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.errors import ConfigError
from robustfront.models import build
from robustfront.models.film import DualNorm, Encoding, Modulation
from robustfront.models.weights import save_weights

VALUES = (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)
Array = NDArray[np.float64]


def film(**settings: Any) -> Film:
    return Film.model_validate({"width": 16} | settings)


def leaky(v: Array) -> Array:
    return np.where(v > 0, v, 0.01 * v)


def numpy(tensor: Tensor) -> Array:
    found: Array = tensor.detach().double().numpy()
    return found


def test_modulation_scales_and_shifts_each_channel_of_each_image() -> None:
    torch.manual_seed(0)
    layer = Modulation(3, 5).double()
    h, codes = torch.randn(4, 3, 2, 6, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    w1, b1, w2, b2 = map(numpy, layer.parameters())
    found = leaky(leaky(numpy(codes) @ w1.T + b1) @ w2.T + b2)
    expected = numpy(h) * found[:, :3, None, None] + found[:, 3:, None, None]
    assert w1.shape == (6, 5)
    assert w2.shape == (6, 6)
    np.testing.assert_allclose(numpy(layer(h, codes)), expected, rtol=1e-12, atol=1e-12)
    assert found.min() < 0  # the slope of what lies below 0 was seen


def normalised(h: Array, weight: Array, bias: Array) -> Array:
    mean, variance = h.mean((0, 2, 3), keepdims=True), h.var((0, 2, 3), keepdims=True)
    standard = (h - mean) / np.sqrt(variance + 1e-5)
    return standard * weight[:, None, None] + bias[:, None, None]


@pytest.mark.parametrize("zeros", [0, 2, 5])
def test_dual_norm_normalises_each_kind_of_image_by_its_own(zeros: int) -> None:
    torch.manual_seed(1)
    layer, h = DualNorm(3).double(), 3 * torch.randn(5, 3, 4, 4, dtype=torch.float64) + 1
    parts = {"standard": h[:zeros], "robust": h[zeros:]}
    expected = []
    for name, part in parts.items():
        norm = getattr(layer, name)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
        if len(part):
            expected.append(normalised(numpy(part), numpy(norm.weight), numpy(norm.bias)))
    np.testing.assert_allclose(numpy(layer(h, zeros)), np.concatenate(expected), rtol=1e-10, atol=1e-12)
    for name, part in parts.items():
        norm, count = getattr(layer, name), part.numel() / 3
        mean = 0.1 * numpy(part).mean((0, 2, 3)) if len(part) else np.zeros(3)
        variance = 0.9 + 0.1 * numpy(part).var((0, 2, 3)) * count / (count - 1) if len(part) else np.ones(3)
        np.testing.assert_allclose(numpy(norm.running_mean), mean, rtol=1e-12)
        np.testing.assert_allclose(numpy(norm.running_var), variance, rtol=1e-12)
        assert norm.num_batches_tracked == (1 if len(part) else 0)


def test_orthogonal_codes_are_orthonormal_and_of_the_seed() -> None:
    codes = Encoding(film())(torch.tensor(VALUES))
    np.testing.assert_allclose(numpy(codes) @ numpy(codes).T, np.eye(6), atol=1e-6)
    assert torch.equal(codes, Encoding(film())(torch.tensor(VALUES)))
    assert not torch.allclose(codes, Encoding(film(seed=1))(torch.tensor(VALUES)))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Encoding(film())
    assert torch.equal(torch.get_rng_state(), before)  # initial weights do not depend on the codes


@pytest.mark.parametrize(
    ("encoding", "rows"),
    [("onehot", np.eye(16)[:6]), ("dct", scipy.fft.dct(np.eye(16), axis=0)[:6])],
)
def test_other_codes_are_rows_of_what_they_are_called_after(encoding: str, rows: Array) -> None:
    codes = Encoding(film(encoding=encoding))(torch.tensor(VALUES))
    np.testing.assert_allclose(numpy(codes), rows, rtol=1e-6, atol=1e-6)


def test_without_encoding_lambda_is_its_own_code() -> None:
    given = torch.tensor([0.0, 0.05, 1.0])
    assert torch.equal(Encoding(film(encoding="none"))(given), given[:, None])


def test_known_values_have_their_rows_exactly_and_others_lie_between() -> None:
    encoding = Encoding(film())
    assert torch.equal(encoding(torch.tensor(VALUES)), encoding.rows)
    between = numpy(encoding(torch.tensor([0.15, 0.7])))
    rows = numpy(encoding.rows)
    expected = [(rows[1] + rows[2]) / 2, (rows[4] + rows[5]) / 2]
    np.testing.assert_allclose(between, expected, atol=1e-6)


def test_codes_travel_with_the_weights(tmp_path: Path) -> None:
    """Another machine's LAPACK may give other rows for the same seed."""
    config = FilmResNet.model_validate({"depth": 10, "width": 2, "film": {"width": 8}})
    how: dict[str, Any] = {
        "channels": 1,
        "classes": 3,
        "normalisation": Normalisation(mean=(0.0,), std=(1.0,)),
    }
    model = build(config, **how)
    model.encoding.rows.neg_()
    save_weights(model, tmp_path / "weights", {})
    found = build(config, **how, weights=tmp_path / "weights")
    assert torch.equal(found.encoding.rows, model.encoding.rows)
    assert not torch.equal(found.encoding.rows, build(config, **how).encoding.rows)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"values": [0.1, 0.0]}, "must rise"),
        ({"width": 5}, "no 6 different codes"),
        ({"usual": 1.5}, "outside of `values`"),
        ({"values": [0.0, 0.0, 1.0]}, "twice"),
    ],
)
def test_settings_that_make_no_codes_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        film(**settings)


def test_a_number_outside_of_the_known_ones_is_refused() -> None:
    config = FilmResNet.model_validate({"depth": 10, "width": 2, "film": {"width": 8}})
    model = build(config, channels=1, classes=3, normalisation=Normalisation(mean=(0.0,), std=(1.0,)))
    with pytest.raises(ConfigError, match=r"condition 1\.2: the network is told numbers from 0 to 1"):
        model.given(1.2)
