"""A tiny real network, images for it, and methods on it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.methods import methods
from robustfront.methods.base import Method, Setting
from robustfront.models import Classifier, build, nullspace

CHANNELS, CLASSES = 3, 4


@pytest.fixture
def model() -> Classifier:
    """float64, 16 features, a head of 4 classes, batch norm with statistics and scales of its own."""
    torch.manual_seed(0)
    network = build(
        PreActResNet(depth=10, width=2),
        channels=CHANNELS,
        classes=CLASSES,
        normalisation=Normalisation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
    )
    network = network.double()
    network.train()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
        for _ in range(20):
            network(torch.rand(32, CHANNELS, 8, 8, dtype=torch.float64))
    return network


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images float64 (6, 3, 8, 8) away from 0 and 1, and their labels."""
    generator = torch.Generator().manual_seed(1)
    x = 0.2 + 0.6 * torch.rand(6, CHANNELS, 8, 8, generator=generator, dtype=torch.float64)
    return x, torch.randint(CLASSES, (6,), generator=generator)


@pytest.fixture
def make(model: Classifier) -> Callable[..., Method]:
    """`make(name, **params)`: the method on `model`, whose present head gives the null space."""

    def make_method(name: str, **params: Any) -> Method:
        kind = methods[name].method
        if name != "standard":
            params = {
                "threat": {"eps": 0.1, "space": "normalised"},
                "attack": {"steps": 3, "step_size": 0.04, "start": "gaussian", "start_std": 0.01},
            } | params
        space = nullspace.compute(model.head.weight, 1e-6) if kind.needs_null_space else None
        return kind(kind.Params.model_validate(params), Setting(model=model, null_space=space))

    return make_method


@pytest.fixture
def drift(model: Classifier) -> Callable[[float], None]:
    """`drift(size)`: moves the head off W_std, as an optimiser would."""

    def move(size: float) -> None:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            noise = torch.randn(model.head.weight.shape, generator=generator).to(model.head.weight)
            model.head.weight.add_(size * noise)

    return move
