import itertools
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from robustfront.config import networks
from robustfront.config.images import Normalisation
from robustfront.errors import ConfigError
from robustfront.models import Classifier, build

CIFAR = Normalisation(mean=(0.4914, 0.4822, 0.4465), std=(0.2471, 0.2435, 0.2616))
GREY = Normalisation(mean=(0.3,), std=(0.2,))


def small(normalisation: Normalisation = CIFAR, classes: int = 10, **config: object) -> Classifier:
    model = networks.PreActResNet.model_validate({"depth": 10, "width": 4, **config})
    return build(model, channels=len(normalisation.mean), classes=classes, normalisation=normalisation)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("final_norm", "published"), [(False, 11_171_146), (True, 11_171_146 + 1024)])
def test_depth_18_has_the_public_number_of_parameters(final_norm: bool, published: int) -> None:
    model = networks.PreActResNet(depth=18, width=64, final_norm=final_norm)
    assert count(build(model, channels=3, classes=10, normalisation=CIFAR)) == published


@pytest.mark.parametrize(("depth", "convolutions"), [(10, 9), (18, 17), (34, 33)])
def test_depth_counts_3x3_convolutions_and_head(depth: int, convolutions: int) -> None:
    kernels = [
        m for m in small(depth=depth).modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    ]
    assert len(kernels) == convolutions


@pytest.mark.parametrize("normalisation", [CIFAR, GREY])
@pytest.mark.parametrize(("size", "last"), [(8, 1), (28, 4), (32, 4)])
def test_stages_halve_the_image_and_double_the_channels(
    normalisation: Normalisation, size: int, last: int
) -> None:
    network = small(normalisation)
    seen: list[tuple[int, ...]] = []
    for stage in network.stages:
        stage.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape[1:])))
    logits = network(torch.rand(2, len(normalisation.mean), size, size))
    half, quarter = size // 2, size // 4
    assert seen == [(4, size, size), (8, half, half), (16, quarter, quarter), (32, last, last)]
    assert logits.shape == (2, 10)


@pytest.mark.parametrize("hidden", [None, 48])
@pytest.mark.parametrize("final_norm", [True, False])
def test_forward_is_head_of_features(hidden: int | None, final_norm: bool) -> None:
    network = small(hidden=hidden, final_norm=final_norm, classes=7).eval()
    x = torch.rand(3, 3, 8, 8)
    h = network.features(x)
    assert (network.feature_dim, network.classes) == (hidden or 32, 7)
    assert h.shape == (3, network.feature_dim)
    torch.testing.assert_close(network(x), h @ network.head.weight.T + network.head.bias)


def test_hidden_layer_is_linear_in_the_pooled_features() -> None:
    network = small(hidden=48).eval()
    x = torch.rand(5, 3, 8, 8)
    wide = network.features(x)
    layer, network.hidden = network.hidden, None
    torch.testing.assert_close(wide, network.features(x) @ layer.weight.T + layer.bias)
    assert (wide < 0).any()


def test_final_norm_ends_the_features_in_a_relu() -> None:
    x = torch.rand(8, 3, 8, 8)
    assert (small(final_norm=True).features(x) >= 0).all()
    assert (small(final_norm=False).features(x) < 0).any()


def test_network_computes_the_published_equations() -> None:
    torch.manual_seed(0)
    network = small(depth=18).double().eval()
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)

    state = network.state_dict()

    def conv(h: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        kernel = state[f"{name}.weight"]
        return nn.functional.conv2d(h, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    def norm_relu(h: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, gain, bias = (
            state[f"{name}.{part}"].view(-1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((h - mean) / (var + 1e-5).sqrt() * gain + bias).clamp(min=0)

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CIFAR.mean, CIFAR.std))
    h = conv((x - mean.double()) / std.double(), "stem")
    for stage, block in itertools.product(range(4), range(2)):
        name, stride = f"stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1
        a = norm_relu(h, f"{name}.norm1")
        skip = conv(a, f"{name}.shortcut", stride) if stride == 2 else h
        b = norm_relu(conv(a, f"{name}.conv1", stride), f"{name}.norm2")
        h = skip + conv(b, f"{name}.conv2")
    h = norm_relu(h, "norm").mean((2, 3))
    torch.testing.assert_close(network.features(x), h)


def test_normalisation_lies_in_untrained_saved_buffers() -> None:
    network = small()
    assert network.mean.shape == network.std.shape == (1, 3, 1, 1)
    assert {"mean", "std"} <= network.state_dict().keys()
    assert not {"mean", "std"} & {name for name, _ in network.named_parameters()}
    torch.testing.assert_close(network.mean.flatten(), torch.tensor(CIFAR.mean))
    grey = torch.tensor(CIFAR.mean).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(network.normalise(grey), torch.zeros(1, 3, 8, 8))


def test_normalisation_of_other_channels_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"normalisation: has 1 channels but the images have 3"):
        build(networks.PreActResNet(width=4), channels=3, classes=10, normalisation=GREY)


def test_same_seed_gives_the_same_initial_weights() -> None:
    def initial(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return small().state_dict()

    first, again, other = initial(1), initial(1), initial(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_initial_kernels_fill_one_over_root_fan_in() -> None:
    kernel = small(width=32).stages[1][0].conv1.weight
    bound = (9 * 32) ** -0.5
    assert 0.99 * bound < kernel.abs().max() <= bound


def test_gradients_reach_the_pixels_and_every_parameter() -> None:
    network = small(hidden=16)
    x = torch.rand(4, 3, 8, 8, requires_grad=True)
    network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_input_gradient_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    network = small(classes=3).double().eval()
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(x)
    (gradient,) = torch.autograd.grad(network(x)[0, 0], x)
    step = 1e-6
    with torch.no_grad():
        difference = (network(x + step * direction) - network(x - step * direction))[0, 0] / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-5, atol=1e-8)


def test_channels_last_survives_every_convolution() -> None:
    network = small().to(memory_format=torch.channels_last).eval()
    kept: list[bool] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _module, _inputs, output: kept.append(
                    output.is_contiguous(memory_format=torch.channels_last)
                )
            )
    x = torch.rand(2, 3, 32, 32)
    logits = network(x.to(memory_format=torch.channels_last))
    assert len(kept) == 12
    assert all(kept)
    torch.testing.assert_close(logits, network.to(memory_format=torch.contiguous_format)(x))


def test_network_is_one_graph_to_the_compiler() -> None:
    network = small(hidden=8).eval()
    x = torch.rand(2, 3, 8, 8)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), network(x))


def test_gradients_of_narrow_networks_stay_within_their_memory() -> None:
    """In a process whose allocator looks after its blocks: torch 2.15 wrote beyond some of them."""
    script = """
import torch
from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.models import build
torch.set_num_threads(1)
for width in (1, 2, 3, 4, 7):
    config, normal = PreActResNet(depth=10, width=width), Normalisation(mean=(0.5,), std=(0.5,))
    model = build(config, channels=1, classes=3, normalisation=normal).to(memory_format=torch.channels_last)
    x = torch.rand(8, 1, 8, 8).contiguous(memory_format=torch.channels_last)
    for _ in range(10):
        torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
"""
    environment = os.environ | {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
