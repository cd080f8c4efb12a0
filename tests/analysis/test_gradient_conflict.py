"""The conflict of two gradients: on a linear softmax, where all are closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustfront.analysis.gradient_conflict import hold_statistics
from robustfront.analysis.subject import Subject, analyse
from robustfront.config.analyses.gradient_conflict import GradientConflict
from robustfront.config.images import Normalisation
from robustfront.config.networks.resnet import ResNet
from robustfront.data.store import Split
from robustfront.models import Classifier, build

EPS = 0.1


class Linear(Classifier):
    """Logits are W x + b of the pixels."""

    def __init__(self) -> None:
        super().__init__(Normalisation(mean=(0.0,), std=(1.0,)))
        torch.manual_seed(0)
        self.head = nn.Linear(16, 3)

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def split(n: int, size: int = 4) -> Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(64, 192, (n, 1, size, size), generator=generator, dtype=torch.uint8)
    return Split(images, torch.arange(n) % 3, torch.arange(n))


def config(**settings: object) -> GradientConflict:
    return GradientConflict.model_validate(
        {
            "runs": ["at"],
            "images": 6,
            "inner": ["pgd"],
            "threat": {"eps": EPS},
            "attack": {"steps": 1, "step_size": EPS, "start": "none"},
        }
        | settings
    )


def test_conflict_is_that_of_gradients_written_out() -> None:
    """Of one FGSM step: dL/dW = (p - e_y) x^T, x' = x + eps sign(W^T (p - e_y))."""
    model, test = Linear(), split(12)
    weight, bias = (p.detach().double().numpy() for p in (model.head.weight, model.head.bias))

    def gradient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        error = residual(x, y) / len(y)
        return np.concatenate([(error.T @ x).ravel(), error.sum(axis=0)])

    def residual(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        logits = x @ weight.T + bias
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True) - np.eye(3)[y]

    subject = Subject(model, test)
    arrays, facts = analyse(subject, config())
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0)).numpy()
    shown = subject.chosen(12, 0)
    x = shown.images.flatten(1).double().numpy()[order] / 255
    y = shown.labels.numpy()[order]
    halves = [(x[:6], y[:6]), (x[6:], y[6:])]
    expected = []
    for part, labels in halves:
        adversarial = part + EPS * np.sign(residual(part, labels) @ weight)
        clean, robust = gradient(part, labels), gradient(adversarial, labels)
        expected.append(np.linalg.norm(clean) * np.linalg.norm(robust) - clean @ robust)
    np.testing.assert_allclose(arrays["conflict"][1], expected, rtol=1e-4)
    assert facts["pgd"]["conflict"] == pytest.approx(np.mean(expected), rel=1e-4)
    first, second = (gradient(*half) for half in halves)
    noise = np.linalg.norm(first) * np.linalg.norm(second) - first @ second
    np.testing.assert_allclose(arrays["conflict"][0], [noise, noise], rtol=1e-4)
    assert facts["names"] == ["clean", "pgd"]


@pytest.mark.parametrize("kind", ["tracked", "untracked"])
def test_networks_of_each_batch_norm_are_looked_at_in_train_mode(kind: str) -> None:
    torch.manual_seed(0)
    network = ResNet.model_validate({"depth": 10, "width": 4, "batch_norm": {"kind": kind}})
    normalisation = Normalisation(mean=(0.5,), std=(0.25,))
    model = build(network, channels=1, classes=3, normalisation=normalisation).eval()
    inner = ["pgd", "pgd-dlr", "apgd-ce", "apgd-dlr"]
    arrays, facts = analyse(Subject(model, split(32, size=8)), config(images=16, inner=inner))
    assert arrays["conflict"].shape == (5, 2)
    assert (arrays["conflict"] > 0).all()
    assert all(-1 < facts[name]["cosine"] < 1 for name in facts["names"])


def test_running_statistics_stay_what_the_run_left() -> None:
    network = ResNet(depth=10, width=4)
    model = build(network, channels=1, classes=3, normalisation=Normalisation(mean=(0.5,), std=(0.25,)))
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    hold_statistics(model)
    model.train()(torch.rand(8, 1, 8, 8))
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
