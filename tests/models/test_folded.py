"""The folded copy computes what the network does."""

import pytest
import torch
from torch import Tensor, nn

from robustfront.config import networks
from robustfront.config.images import Normalisation
from robustfront.models import Classifier, build
from robustfront.models.folded import fold, refresh
from robustfront.models.preact_resnet import PreActResNet

NORMALISATION = Normalisation(mean=(0.5, 0.4, 0.45), std=(0.25, 0.2, 0.4))


def network(seed: int = 0, **settings: object) -> PreActResNet:
    """Batch norms with scales of both signs and statistics of their own, in eval mode."""
    torch.manual_seed(seed)
    config = networks.PreActResNet.model_validate({"depth": 10, "width": 4} | settings)
    model = build(config, channels=3, classes=4, normalisation=NORMALISATION)
    assert isinstance(model, PreActResNet)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    with torch.no_grad():
        for _ in range(5):
            model(images())
    return model.eval().to(memory_format=torch.channels_last)


def images(count: int = 6) -> Tensor:
    x = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def gradient(model: Classifier, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x).logsumexp(dim=1).sum(), x)[0]


@pytest.mark.parametrize("settings", [{}, {"hidden": 40}, {"final_norm": False}, {"depth": 18}], ids=str)
def test_logits_and_gradients_are_those_of_the_network(settings: dict[str, object]) -> None:
    model = network(**settings).double()
    folded = fold(model, torch.float64)
    x = images().double()
    torch.testing.assert_close(folded(x), model(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient(folded, x), gradient(model, x), rtol=1e-11, atol=1e-14)


def test_refresh_takes_over_weights_and_statistics_in_place() -> None:
    model, other = network(0).double(), network(1).double()
    folded = fold(model, torch.float64)
    places = {name: value.data_ptr() for name, value in folded.state_dict().items()}
    model.load_state_dict(other.state_dict())
    refresh(folded, model)
    torch.testing.assert_close(folded(images().double()), other(images().double()), rtol=1e-12, atol=1e-12)
    assert {name: value.data_ptr() for name, value in folded.state_dict().items()} == places


def test_only_convolutions_are_in_half_precision_and_the_head_is_shared() -> None:
    model = network()
    folded = fold(model, torch.bfloat16)
    assert folded.head is model.head
    for name, value in folded.state_dict().items():
        half = "conv" in name or "stem" in name or "shortcut" in name
        assert value.dtype == (torch.bfloat16 if half else torch.float32 if value.ndim else torch.int64), name
    assert [name for name, p in folded.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    assert folded.stages[0][0].conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_network_stays_as_it_was() -> None:
    model, untouched = network().train(), network().train()
    fold(model, torch.bfloat16)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert [name for name, _ in model.named_modules()] == [name for name, _ in untouched.named_modules()]
    for name, value in untouched.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_bfloat16_is_at_least_as_near_as_autocast_alone() -> None:
    model = network(depth=18, width=16)
    folded, x = fold(model, torch.bfloat16), images(32)
    exact = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        plain, found = model(x), folded(x)
    assert (found - exact).norm() < 1.2 * (plain - exact).norm()
