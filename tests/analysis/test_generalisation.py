"""How sure a network is, its spectra, and how far its loss can be raised: each against numbers by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from robustfront.analysis.subject import Subject, analyse
from robustfront.config.analyses.confidence import ConfidenceAnalysis
from robustfront.config.analyses.loss_variation import LossVariationAnalysis
from robustfront.config.analyses.singular_values import SingularValuesAnalysis
from robustfront.config.images import Normalisation
from robustfront.config.schema import Ascent, Threat
from robustfront.data.store import Split
from robustfront.models import Classifier


class Small(Classifier):
    """A convolution, ReLU, the mean, a head."""

    def __init__(self) -> None:
        super().__init__(Normalisation(mean=(0.0,), std=(1.0,)))
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4, 3)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolution(x)).mean(dim=(2, 3))


class Linear(Classifier):
    """Two logits, w x and -w x, of a single pixel."""

    def __init__(self, w: float) -> None:
        super().__init__(Normalisation(mean=(0.0,), std=(1.0,)))
        self.head = nn.Linear(1, 2, bias=False)
        self.head.weight.data[:] = torch.tensor([[w], [-w]])

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def split(count: int, seed: int, shape: tuple[int, ...] = (1, 6, 6), classes: int = 3) -> Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % classes
    return Split(images, labels, torch.arange(count))


def test_confidence_of_test_and_training_images() -> None:
    model, test, train = Small().eval(), split(12, 1), split(30, 2)
    arrays, facts = analyse(
        Subject(model, test, train=train), ConfidenceAnalysis(runs=("a",), batch_size=7, images=1000)
    )
    for name, images in {"test": test, "train": train}.items():
        logits = model(images.images.float() / 255).detach().numpy().astype(np.float64)
        labels = images.labels.numpy()
        assert sorted(arrays[f"{name}.labels"].tolist()) == sorted(labels.tolist())
        own = logits[np.arange(len(labels)), labels]
        others = np.where(np.eye(3, dtype=bool)[labels], -np.inf, logits).max(axis=1)
        probabilities = np.exp(own) / np.exp(logits).sum(axis=1)
        margins = own - others
        for key, wanted in {
            "margins": margins,
            "probabilities": probabilities,
            "losses": -np.log(probabilities),
        }.items():
            assert np.allclose(np.sort(arrays[f"{name}.{key}"]), np.sort(wanted), atol=1e-5)
        assert facts[name]["accuracy"] == np.mean(logits.argmax(axis=1) == labels)
        assert facts[name]["std"] == pytest.approx(margins.std(), rel=1e-4)
        skewness = ((margins - margins.mean()) ** 3).mean() / margins.std() ** 3
        assert facts[name]["skewness"] == pytest.approx(skewness, rel=1e-3)


def test_singular_values_by_both_conventions() -> None:
    model = Small().eval()
    arrays, facts = analyse(Subject(model, split(3, 0)), SingularValuesAnalysis(runs=("a",)))
    assert facts["layers"] == ["convolution", "head"]
    assert facts["convolution"] == [True, False]
    kernel, head = model.convolution.weight.detach().double(), model.head.weight.detach().double().numpy()
    matrix = np.linalg.svd(kernel.flatten(1).numpy(), compute_uv=False)
    # one input channel: at each frequency a single value, the length of the outputs' transforms
    grid = np.sqrt((np.abs(np.fft.fft2(kernel[:, 0].numpy(), s=(6, 6))) ** 2).sum(axis=0))
    linear = np.linalg.svd(head, compute_uv=False)
    for convention, values in {"circular": [grid, linear], "reshaped": [matrix, linear]}.items():
        for position, each in enumerate(values):
            assert arrays[f"{convention}.std"][position].item() == pytest.approx(each.std())
            assert arrays[f"{convention}.largest"][position].item() == pytest.approx(each.max())
        product = np.log10([each.max() for each in values]).sum()
        assert facts["log10_product"][convention] == pytest.approx(product)


def test_loss_variation_of_a_line_is_that_of_its_worst_end() -> None:
    model = Linear(3.0).eval()
    images = torch.tensor([100, 150, 200, 250], dtype=torch.uint8).view(4, 1, 1, 1)
    test = Split(images, torch.tensor([0, 0, 1, 1]), torch.arange(4))
    wanted = LossVariationAnalysis(
        runs=("a",),
        threat=Threat(eps=0.1),
        radii=(0.05, 0.2),
        attack=Ascent(steps=10, step_size=0.05, start="uniform"),
    )
    arrays, facts = analyse(Subject(model, test), wanted)
    x = images.flatten().double().numpy() / 255
    sign = np.array([1, 1, -1, -1])  # logit of the class, in x

    def loss(at: np.ndarray) -> np.ndarray:
        return np.log1p(np.exp(-2 * 3.0 * sign * at))

    for position, radius in enumerate(wanted.radii):
        worst = np.clip(x - sign * radius, 0, 1)
        rise = loss(worst) - loss(x)
        assert np.allclose(np.sort(arrays["variation"][position]), np.sort(rise), atol=1e-5)
        assert facts["mean"][position] == pytest.approx(rise.mean(), rel=1e-4)
        assert facts["std"][position] == pytest.approx(rise.std(), rel=1e-4)
