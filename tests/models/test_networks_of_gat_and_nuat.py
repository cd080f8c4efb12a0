"""M-LeNet and the wide ResNet of NuAT's code against their layers written out, and their costs."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from models.test_residual_networks import X, Z, built, equations, with_statistics
from robustfront.config.networks.m_lenet import MLeNet
from robustfront.config.networks.wide_resnet_biased import WideResNetBiased
from robustfront.errors import ConfigError


@pytest.mark.parametrize(
    ("config", "channels", "size", "published"),
    [
        (MLeNet(), 1, 28, 832 + 25632 + 51264 + 102464 + 1606144 + 5130),
        (MLeNet(width=4, hidden=20, size=8), 1, 8, None),
        (WideResNetBiased(), 3, 32, None),
        (WideResNetBiased(depth=10, factor=2), 3, 16, None),
    ],
)
def test_closed_forms_are_what_torch_counts(config, channels, size, published) -> None:
    with torch.device("meta"):
        network = built(config, channels=channels).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, channels, size, size))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert config.parameters(channels=channels, classes=10) == count == (published or count)
    assert config.forward_flops(channels=channels, size=size, classes=10) == counter.get_total_flops()
    assert network.head.in_features == config.feature_count


@pytest.mark.parametrize(("config", "size"), [(MLeNet(), 28), (WideResNetBiased(depth=10, factor=2), 16)])
def test_memory_is_about_what_autograd_keeps(config, size) -> None:
    network = built(config, channels=1)
    kept: dict[int, int] = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {parameter.data_ptr() for parameter in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(torch.rand(8, 1, size, size))
    total = sum(nbytes for pointer, nbytes in kept.items() if pointer not in weights) / 8
    assert config.activation_bytes(channels=1, size=size, classes=10) == pytest.approx(total, rel=0.25)


def test_m_lenet_computes_its_layers() -> None:
    network = built(MLeNet(width=3, hidden=7, size=8)).double()
    state, h = network.state_dict(), Z
    for layer in range(4):
        kernel, bias = (state[f"convolutions.{layer}.{part}"] for part in ("weight", "bias"))
        h = conv2d(h, kernel, bias, padding=2).clamp(min=0)
        if layer % 2:
            side = h.shape[2] // 2
            h = h.view(2, -1, side, 2, side, 2).amax(dim=(3, 5))
    hidden = (h.reshape(2, -1) @ state["hidden.weight"].T + state["hidden.bias"]).clamp(min=0)
    expected = hidden @ state["head.weight"].T + state["head.bias"]
    torch.testing.assert_close(network(X), expected, rtol=1e-6, atol=1e-7)
    with pytest.raises(ConfigError, match=r"model\.size: 8, but the images are of 9 x 9"):
        network(torch.rand(1, 3, 9, 9).double())


def test_the_biased_wide_resnet_computes_its_blocks() -> None:
    network = built(WideResNetBiased(depth=16, factor=2))
    state = with_statistics(network)
    _, norm = equations(state)

    def conv(h, name, stride=1):
        kernel = state[f"{name}.weight"]
        return conv2d(h, kernel, state[f"{name}.bias"], stride=stride, padding=kernel.shape[-1] // 2)

    h = conv(Z, "stem")
    for stage in range(3):
        for block in range(2):
            name, stride = f"stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1
            skip = conv(h, f"{name}.shortcut", stride) if block == 0 else h
            a = conv(norm(h, f"{name}.norm1").clamp(min=0), f"{name}.conv1")
            h = skip + conv(norm(a, f"{name}.norm2").clamp(min=0), f"{name}.conv2", stride)
    h = norm(h, "norm").clamp(min=0)
    torch.testing.assert_close(network.features(X), h.mean((2, 3)), rtol=1e-6, atol=1e-7)
    momenta = [module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert momenta == [0.1] * 12 + [0.9]
