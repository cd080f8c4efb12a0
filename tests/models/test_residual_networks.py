"""ResNets and wide ResNets against their published equations, sizes and costs."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from robustfront.config.images import Normalisation
from robustfront.config.networks import NetworkConfig
from robustfront.config.networks.resnet import ResNet
from robustfront.config.networks.wide_resnet import WideResNet
from robustfront.errors import ConfigError
from robustfront.models import Classifier, build

CIFAR = Normalisation(mean=(0.4914, 0.4822, 0.4465), std=(0.2471, 0.2435, 0.2616))


def built(config: NetworkConfig, channels: int = 3, classes: int = 10) -> Classifier:
    normalisation = CIFAR if channels == 3 else Normalisation(mean=(0.5,) * channels, std=(0.5,) * channels)
    return build(config, channels=channels, classes=classes, normalisation=normalisation)


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (ResNet(depth=18), 11_173_962),  # pytorch-cifar
        (ResNet(depth=34), 21_282_122),
        (WideResNet(depth=28, factor=10), 36_479_194),  # the paper's 36.5 million
        (WideResNet(depth=40, factor=2), 2_243_546),  # 2.2 million
        (WideResNet(depth=16, factor=8), 10_961_370),  # 11.0 million
    ],
)
def test_networks_have_the_published_numbers_of_parameters(config: NetworkConfig, published: int) -> None:
    assert config.parameters(channels=3, classes=10) == published
    with torch.device("meta"):
        assert sum(p.numel() for p in built(config).parameters()) == published


def with_statistics(network: Classifier) -> dict[str, Tensor]:
    """The state, in float64, of a network whose batch norms are no identity; it is put into eval mode."""
    torch.manual_seed(0)
    for norm in (m for m in network.double().eval().modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    return network.state_dict()


def equations(state: dict[str, Tensor]) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    def conv(h: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = state[f"{name}.weight"]
        return nn.functional.conv2d(h, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    def norm(h: Tensor, name: str) -> Tensor:
        mean, var, gain, bias = (
            state[f"{name}.{part}"].view(-1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (h - mean) / (var + 1e-5).sqrt() * gain + bias

    return conv, norm


X = torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
Z = (X - torch.tensor(CIFAR.mean).view(3, 1, 1).double()) / torch.tensor(CIFAR.std).view(3, 1, 1).double()


@pytest.mark.parametrize("branch_relu", [False, True])
def test_resnet_computes_the_published_equations(branch_relu: bool) -> None:
    network = built(ResNet(depth=18, width=3, branch_relu=branch_relu))
    conv, norm = equations(with_statistics(network))
    h = norm(conv(Z, "stem"), "norm").clamp(min=0)
    for stage in range(4):
        for block in range(2):
            name, stride = f"stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1
            a = norm(conv(h, f"{name}.conv1", stride), f"{name}.norm1").clamp(min=0)
            a = norm(conv(a, f"{name}.conv2"), f"{name}.norm2")
            a = a.clamp(min=0) if branch_relu else a
            skip = norm(conv(h, f"{name}.shortcut", 2), f"{name}.shortcut_norm") if stride == 2 else h
            h = (a + skip).clamp(min=0)
    torch.testing.assert_close(network.features(X), h.mean((2, 3)), rtol=1e-6, atol=1e-7)


def test_wide_resnet_computes_the_published_equations() -> None:
    network = built(WideResNet(depth=16, factor=2))
    conv, norm = equations(with_statistics(network))
    h = conv(Z, "stem")
    for stage in range(3):
        for block in range(2):
            name, stride = f"stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1
            a = norm(h, f"{name}.norm1").clamp(min=0)
            skip = conv(a, f"{name}.shortcut", stride) if block == 0 else h
            a = norm(conv(a, f"{name}.conv1", stride), f"{name}.norm2").clamp(min=0)
            h = skip + conv(a, f"{name}.conv2")
    h = norm(h, "norm").clamp(min=0)
    torch.testing.assert_close(network.features(X), h.mean((2, 3)), rtol=1e-6, atol=1e-7)


def test_dropout_is_between_the_convolutions_and_only_in_training() -> None:
    torch.manual_seed(0)
    network = built(WideResNet(depth=10, factor=1, dropout=0.4))
    block = network.stages[0][0]
    seen: list[Tensor] = []
    block.conv2[1].register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    block.norm2.register_forward_hook(lambda _module, _inputs, output: seen.append(output.clone()))
    network(torch.rand(64, 3, 8, 8))
    before, after = seen[0].clamp(min=0), seen[1]
    kept = after != 0
    assert 0.5 < kept[before > 0].double().mean() < 0.7
    torch.testing.assert_close(after[kept], before[kept] / 0.6)
    seen.clear()
    network.eval()(torch.rand(4, 3, 8, 8))
    torch.testing.assert_close(seen[1], seen[0].clamp(min=0))


def test_kernels_of_wide_resnets_begin_with_the_variance_of_their_outputs() -> None:
    torch.manual_seed(0)
    network = built(WideResNet(depth=10, factor=4))
    kernel = network.stages[1][0].conv1.weight  # 64 -> 128 channels
    assert kernel.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    assert network.head.bias.count_nonzero() == 0


configs = st.one_of(
    st.builds(
        ResNet, depth=st.sampled_from([10, 18, 34]), width=st.integers(1, 5), branch_relu=st.booleans()
    ),
    st.builds(
        WideResNet,
        depth=st.sampled_from([10, 16]),
        factor=st.integers(1, 3),
        dropout=st.sampled_from([0.0, 0.3]),
    ),
)


@settings(max_examples=15, deadline=None, phases=[Phase.generate])
@given(config=configs, channels=st.integers(1, 4), classes=st.integers(2, 12), size=st.sampled_from([8, 32]))
def test_closed_forms_are_what_torch_counts(
    config: NetworkConfig, channels: int, classes: int, size: int
) -> None:
    with torch.device("meta"):
        network = built(config, channels, classes)
        x = torch.empty(2, channels, size, size)
        with FlopCounterMode(display=False) as counter:
            network.eval()(x[:1])
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            if tensor.dim() in (2, 4) and tensor.shape[0] == len(x):
                storage = tensor.untyped_storage()
                kept[storage._cdata] = storage.nbytes()
                alive.append(tensor)
            return tensor

        alive: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network.train()(x.clone().requires_grad_())
    assert config.forward_flops(channels=channels, size=size, classes=classes) == counter.get_total_flops()
    assert config.parameters(channels=channels, classes=classes) == sum(
        parameter.numel() for parameter in network.parameters()
    )
    if not getattr(config, "dropout", 0):  # whose masks are bytes on a GPU and floats on a CPU
        bytes_of_one = config.activation_bytes(channels=channels, size=size, classes=classes)
        assert bytes_of_one == pytest.approx(sum(kept.values()) / len(x), rel=0.1)


def test_only_the_blocks_go_by_the_batch_where_the_stem_is_tracked() -> None:
    torch.manual_seed(0)
    untracked = {"kind": "untracked", "tracked": ["norm"]}
    config = ResNet.model_validate({"depth": 10, "width": 4, "batch_norm": untracked})
    assert config.looks_at_batches
    network = built(config)
    with_them = [n for n, m in network.named_modules() if getattr(m, "running_mean", None) is not None]
    assert with_them == ["norm"]
    stems: list[Tensor] = []
    network.norm.register_forward_hook(lambda _module, _inputs, output: stems.append(output[:2].clone()))
    x = torch.rand(6, 3, 8, 8)
    network(x)
    network.eval()
    alone, together = network(x[:2]), network(x)[:2]
    torch.testing.assert_close(stems[1], stems[2])
    assert (alone - together).abs().max() > 1e-3


def test_a_batch_norm_to_track_that_does_not_exist_is_refused() -> None:
    untracked = {"kind": "untracked", "tracked": ["stem_norm"]}
    config = WideResNet.model_validate({"depth": 10, "factor": 1, "batch_norm": untracked})
    with pytest.raises(ConfigError, match=r"there is no batch norm 'stem_norm' in the network, but 'stages"):
        built(config)


@pytest.mark.parametrize("depth", [4, 12, 28.0])
def test_a_wide_resnet_of_no_such_depth_is_refused(depth: float) -> None:
    with pytest.raises(ValidationError):
        WideResNet.model_validate({"depth": depth})
