import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from robustfront.config.images import Normalisation
from robustfront.config.networks.bottleneck_resnet import BottleneckResNet
from robustfront.config.networks.fixup_resnet import FixupResNet
from robustfront.models import Classifier, build

GREY = Normalisation(mean=(0.3,), std=(0.2,))
COLOUR = Normalisation(mean=(0.5,) * 3, std=(0.25,) * 3)


def network(config: FixupResNet | BottleneckResNet, channels: int = 1, classes: int = 10) -> Classifier:
    normalisation = Normalisation(mean=(0.5,) * channels, std=(0.25,) * channels)
    return build(config, channels=channels, classes=classes, normalisation=normalisation)


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


@settings(max_examples=12, deadline=None)
@given(
    config=st.one_of(
        st.builds(
            FixupResNet,
            depth=st.sampled_from([8, 14, 20]),
            width=st.integers(1, 5),
            scalars=st.booleans(),
            norm=st.just("none"),
        ),
        st.builds(FixupResNet, depth=st.just(8), width=st.integers(1, 5), norm=st.just("batch")),
        st.builds(BottleneckResNet, width=st.integers(1, 3), factor=st.integers(1, 3)),
    ),
    channels=st.integers(1, 3),
    size=st.sampled_from([7, 8, 32]),
)
def test_closed_forms_are_what_torch_counts(
    config: FixupResNet | BottleneckResNet, channels: int, size: int
) -> None:
    with torch.device("meta"):
        model = network(config, channels, classes=7).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, channels, size, size))
    assert config.forward_flops(channels=channels, size=size, classes=7) == counter.get_total_flops()
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert config.parameters(channels=channels, classes=7) == counted


@pytest.mark.parametrize(("depth", "published"), [(20, 269_722), (56, 853_018), (110, 1_727_962)])
def test_with_batch_norm_it_has_the_public_number_of_parameters(depth: int, published: int) -> None:
    assert FixupResNet(depth=depth, norm="batch").parameters(channels=3, classes=10) == published


def test_wrn_50_2_is_torchvisions_but_for_stem_and_classes() -> None:
    torchvisions, its_stem, its_head = 68_883_240, 7 * 7 * 3 * 64, 2049 * 1000
    ours = BottleneckResNet().parameters(channels=3, classes=200)
    assert ours == torchvisions - its_stem + 3 * 3 * 3 * 64 - its_head + 2049 * 200


def test_resnet_56_has_55_convolutions_and_no_other_matrix_but_the_head() -> None:
    with torch.device("meta"):
        model = network(FixupResNet(depth=56), 3)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    assert len(convolutions(model)) == 55
    assert len(matrices) == 56
    assert len(list(model.parameters())) == 57  # and the bias of the head


@pytest.mark.parametrize("depth", [8, 20])
def test_fixups_initialisation(depth: int) -> None:
    torch.manual_seed(0)
    model = network(FixupResNet(depth=depth, width=24), 3)
    blocks = (depth - 2) // 2
    stem, *rest = convolutions(model)
    for first, second in zip(rest[::2], rest[1::2], strict=True):
        # He et al. 2015: variance 2 / (outputs * 9); Fixup: times L^(-1/(2m - 2)) with m = 2 layers a block
        wanted = math.sqrt(2 / (first.out_channels * 9)) * blocks ** (-1 / 2)
        assert first.weight.std().item() == pytest.approx(wanted, rel=0.05)
        assert not second.weight.any()
    assert not model.head.weight.any()
    assert not model.head.bias.any()
    bound = 1 / math.sqrt(3 * 9)  # torch's own of a convolution: uniform in +-1 / sqrt(fan in)
    assert 0.9 * bound < stem.weight.abs().max().item() <= bound


@pytest.mark.parametrize("scalars", [False, True])
def test_forward_is_the_formula(scalars: bool) -> None:
    torch.manual_seed(0)
    model = network(FixupResNet(depth=8, width=4, scalars=scalars)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    x = torch.rand(3, 1, 9, 9, dtype=torch.float64)
    values = dict(model.named_parameters())

    def scalar(name: str, default: float) -> float | Tensor:
        return values[name] if scalars else default

    h = F.conv2d((x - 0.5) / 0.25, values["stem.weight"], padding=1)
    h = F.relu(h + scalar("after_stem.bias", 0.0))
    for block, stride in enumerate((1, 2, 2)):
        at = f"blocks.{block}"
        shifted = h + scalar(f"{at}.before1.bias", 0.0)
        inner = F.conv2d(shifted, values[f"{at}.conv1.weight"], stride=stride, padding=1)
        inner = F.relu(inner + scalar(f"{at}.after1.bias", 0.0)) + scalar(f"{at}.before2.bias", 0.0)
        inner = F.conv2d(inner, values[f"{at}.conv2.weight"], padding=1)
        inner = inner * scalar(f"{at}.after2.0.factor", 1.0) + scalar(f"{at}.after2.1.bias", 0.0)
        shortcut = h
        if stride == 2:
            shortcut = F.avg_pool2d(shifted, 1, 2)  # as the authors' code puts it
            shortcut = torch.cat([shortcut, torch.zeros_like(shortcut)], dim=1)
        h = F.relu(inner + shortcut)
    features = h.mean(dim=(2, 3)) + scalar("before_head.bias", 0.0)
    wanted = features @ values["head.weight"].T + values["head.bias"]
    assert torch.allclose(model(x), wanted, atol=1e-12)


def test_bottleneck_is_torchvisions_network_with_another_stem() -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs = torchvision.models.wide_resnet50_2()
        ours = network(BottleneckResNet(), 3)
    shapes = [sorted(conv.weight.shape for conv in convolutions(model)[1:]) for model in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_stem_of_stride_one_keeps_the_image_until_the_second_stage() -> None:
    model, sizes = network(BottleneckResNet(width=2), 3), list[int]()
    for block in model.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[-1]))
    model(torch.rand(1, 3, 64, 64))
    assert sizes == [64] * 3 + [32] * 4 + [16] * 6 + [8] * 3


def test_convolutions_of_the_bottleneck_network_are_xaviers() -> None:
    torch.manual_seed(0)
    model = network(BottleneckResNet(width=8), 3)
    for conv in convolutions(model)[1:]:
        out, into, size, _ = conv.weight.shape
        bound = math.sqrt(6 / ((into + out) * size**2))
        assert conv.weight.abs().max().item() == pytest.approx(bound, rel=0.05)


def test_settings_that_contradict_each_other_are_refused() -> None:
    for wrong in ({"depth": 18}, {"norm": "batch", "scalars": True}, {"batch_norm": {"kind": "untracked"}}):
        with pytest.raises(ValidationError):
            FixupResNet.model_validate(wrong)
