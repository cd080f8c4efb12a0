import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.models import build

configs = st.builds(
    PreActResNet,
    depth=st.sampled_from([10, 18, 34]),
    width=st.integers(1, 6),
    final_norm=st.booleans(),
    hidden=st.none() | st.integers(1, 40),
)


@settings(max_examples=25, deadline=None)
@given(
    config=configs,
    channels=st.integers(1, 4),
    classes=st.integers(2, 12),
    size=st.sampled_from([1, 7, 8, 28, 32]),
)
def test_closed_forms_are_what_torch_counts(
    config: PreActResNet, channels: int, classes: int, size: int
) -> None:
    normalisation = Normalisation(mean=(0.5,) * channels, std=(0.5,) * channels)
    with torch.device("meta"):
        network = build(config, channels=channels, classes=classes, normalisation=normalisation).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, channels, size, size))
    assert config.forward_flops(channels=channels, size=size, classes=classes) == counter.get_total_flops()
    assert config.parameters(channels=channels, classes=classes) == sum(
        parameter.numel() for parameter in network.parameters()
    )


def test_depth_18_costs_the_published_gigaflop() -> None:
    config = PreActResNet(depth=18, width=64, final_norm=False)
    assert config.parameters(channels=3, classes=10) == 11_171_146
    flops = config.forward_flops(channels=3, size=32, classes=10)
    assert flops / 1e9 == pytest.approx(1.111, abs=5e-4)


def test_input_gradient_costs_one_more_forward() -> None:
    config = PreActResNet(depth=10, width=4)
    network = build(
        config, channels=3, classes=10, normalisation=Normalisation(mean=(0.5,) * 3, std=(0.5,) * 3)
    )
    network.requires_grad_(False).eval()
    pixels = torch.rand(1, 3, 8, 8, requires_grad=True)
    x = pixels + 0  # the counter does not follow a leaf
    with FlopCounterMode(display=False) as counter:
        network(x).sum().backward()
    assert counter.get_total_flops() == 2 * config.forward_flops(channels=3, size=8, classes=10)


def test_cost_does_not_import_torch() -> None:
    code = "import sys, robustfront.config.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_of_the_package_are_refused() -> None:
    import robustfront.models

    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        _ = robustfront.models.bild
