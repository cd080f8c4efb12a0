"""Gradients of logistic regression in closed form, against autograd in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robustfront.analysis.linear_conflict import bounds, gradients, measures, pixel_weights, separation
from robustfront.analysis.subject import Subject, analyse
from robustfront.config.analyses.linear_conflict import LinearConflict
from robustfront.config.images import Normalisation
from robustfront.config.networks.linear import Linear
from robustfront.data.readers.digit_pair import resized
from robustfront.data.store import Split
from robustfront.errors import ConfigError
from robustfront.methods.linear_at import LinearParams, require_linear, worst_logits
from robustfront.models import Classifier, build

D, N, DELTA = 9, 40, 0.2
rng = np.random.default_rng(0)
W, B = rng.normal(size=D), 0.3
X, Y = rng.random((N, D)), rng.choice([-1, 1], N)


def autograd(delta: float) -> np.ndarray:
    """Of Eq. 3 as it is written, image by image."""
    weight, bias = (
        torch.tensor(W, requires_grad=True),
        torch.tensor(B, dtype=torch.float64, requires_grad=True),
    )
    rows = []
    for x, y in zip(torch.tensor(X), Y, strict=True):
        loss = torch.log1p(torch.exp(-int(y) * (weight @ x + bias) + delta * weight.abs().sum()))
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, [weight, bias])]).numpy())
    return np.array(rows)


def test_gradients_are_those_of_the_papers_losses() -> None:
    clean, adversarial = gradients(W, B, X, Y, DELTA)
    np.testing.assert_allclose(clean, autograd(0.0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(adversarial, autograd(DELTA), rtol=1e-10, atol=1e-12)


def test_the_bound_is_that_of_the_appendix() -> None:
    """H by autograd, its largest singular value by numpy."""
    expected = []
    for x, y in zip(X, Y, strict=True):

        def gradient(point: torch.Tensor, y: int = int(y)) -> torch.Tensor:
            wrong = -y * torch.sigmoid(-y * (torch.tensor(W) @ point + B))
            return torch.cat([wrong * point, wrong.view(1)])

        jacobian = torch.autograd.functional.jacobian(gradient, torch.tensor(x)).numpy()
        expected.append(np.linalg.svd(jacobian)[1][0] ** 2 * D * DELTA**2 / 2)
    np.testing.assert_allclose(bounds(W, B, X, Y, DELTA), expected, rtol=1e-8)


def test_the_conflict_of_small_radii_is_below_the_bound_and_grows_with_their_square() -> None:
    def mean(delta: float) -> float:
        return measures(*gradients(W, B, X, Y, delta))["conflict"].mean()

    assert (measures(*gradients(W, B, X, Y, 1e-3))["conflict"] <= bounds(W, B, X, Y, 1e-3)).all()
    assert mean(2e-3) / mean(1e-3) == pytest.approx(4, rel=0.02)


def model(channels: int = 1, classes: int = 2) -> Classifier:
    normalisation = Normalisation(mean=(0.2, 0.4)[:channels], std=(0.5, 0.25)[:channels])
    network = build(
        Linear(inputs=4 * channels), channels=channels, classes=classes, normalisation=normalisation
    )
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.weight)
    torch.nn.init.normal_(network.head.bias)
    return network.double()


def test_weights_of_pixels_are_those_behind_the_normalisation() -> None:
    network, x = model(2), torch.rand(5, 2, 2, 2, dtype=torch.float64)
    weight, bias = pixel_weights(network)
    logits = network(x)
    expected = (logits[:, 1] - logits[:, 0]).detach().numpy()
    np.testing.assert_allclose(x.flatten(1).numpy() @ weight + bias, expected, rtol=1e-6)


def test_worst_logits_are_those_at_the_worst_corner() -> None:
    """All 2^8 corners of the ball are tried."""
    network, x = model(2), torch.rand(6, 2, 2, 2, dtype=torch.float64)
    y = torch.tensor([0, 1, 0, 1, 1, 0])
    signs = torch.tensor(np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T).view(-1, 2, 2, 2)
    with torch.no_grad():
        found = torch.nn.functional.cross_entropy(
            worst_logits(network, network(x), y, DELTA), y, reduction="none"
        )
        for image, label, value in zip(x, y, found, strict=True):
            corners = network(image + DELTA * signs)
            losses = torch.nn.functional.cross_entropy(corners, label.expand(256), reduction="none")
            torch.testing.assert_close(losses.max(), value, rtol=1e-6, atol=1e-9)


def test_only_linear_models_of_two_classes_have_the_closed_form() -> None:
    require_linear(model())
    with pytest.raises(ConfigError, match="two classes alone"):
        require_linear(model(classes=3))
    assert LinearParams(delta=0.1).adversarial_weight == 0.5


def test_separation_is_one_of_two_clusters_and_one_half_of_one() -> None:
    points = rng.normal(size=(400, 3))
    assert separation(points, points + 100) == 1
    assert separation(points, rng.normal(size=(400, 3))) == pytest.approx(0.5, abs=0.08)


def test_an_analysis_has_numbers_of_all_images_and_places_of_some() -> None:
    network = model().float()
    images = torch.randint(
        0, 256, (50, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    test = Split(images, torch.arange(50) % 2, torch.arange(50))
    wanted = LinearConflict(runs=("a",), images=12, delta=DELTA, perplexity=3)
    arrays, facts = analyse(Subject(network, test), wanted)
    assert arrays["conflict"].shape == arrays["bound"].shape == (50,)
    assert arrays["embedding"].shape == (2, 12, 2)
    logits = network(images / 255)
    assert facts["clean_accuracy"] == pytest.approx((logits.argmax(1) == test.labels).double().mean().item())
    worst = worst_logits(network, logits, test.labels, DELTA)
    assert facts["adversarial_accuracy"] == pytest.approx(
        (worst.argmax(1) == test.labels).double().mean().item()
    )
    assert facts["mean"]["conflict"] == pytest.approx(arrays["conflict"].double().mean().item(), rel=1e-5)


def test_images_are_resized_as_torch_does() -> None:
    images = rng.integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    expected = torch.nn.functional.interpolate(
        torch.tensor(images).double(), size=32, mode="bilinear", align_corners=False
    )
    np.testing.assert_array_equal(resized(images, 32), expected.round().byte().numpy())
