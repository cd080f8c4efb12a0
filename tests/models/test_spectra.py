"""Against dense matrices in float64: the convolution of every unit image is a column."""

import time

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustfront.config.images import Normalisation
from robustfront.config.networks.fixup_resnet import FixupResNet
from robustfront.models import build, spectra


def dense(kernel: Tensor, height: int, width: int, *, circular: bool, stride: int = 1) -> Tensor:
    """The matrix of a convolution on images (inputs, height, width), by its effect on each unit image."""
    inputs, size = kernel.shape[1], kernel.shape[-1]
    images = torch.eye(inputs * height * width, dtype=torch.float64).view(-1, inputs, height, width)
    pad = (size // 2,) * 4
    padded = F.pad(images, pad, mode="circular") if circular else F.pad(images, pad)
    return F.conv2d(padded, kernel, stride=stride).flatten(1).T


def kernel_of(outputs: int, inputs: int, size: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(outputs, inputs, size, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("grid", [(5, 5), (6, 6), (4, 7), (7, 4)])
@pytest.mark.parametrize(("outputs", "inputs", "size"), [(3, 2, 3), (2, 4, 3), (3, 3, 1)])
def test_values_are_those_of_the_dense_circulant_matrix(
    grid: tuple[int, int], outputs: int, inputs: int, size: int
) -> None:
    kernel = kernel_of(outputs, inputs, size)
    wanted = torch.linalg.svdvals(dense(kernel, *grid, circular=True))
    assert torch.allclose(spectra.circular(kernel, grid), wanted, atol=1e-10)


def test_zero_padding_and_stride_do_not_exceed_much_of_what_circular_padding_has() -> None:
    # The dense Toeplitz matrix of the layer as it is: near the circular one, below it with stride.
    kernel = kernel_of(4, 3)
    circular = spectra.circular(kernel, (8, 8))
    padded = torch.linalg.svdvals(dense(kernel, 8, 8, circular=False))
    strided = torch.linalg.svdvals(dense(kernel, 8, 8, circular=True, stride=2))
    assert padded[0] <= spectra.circular(kernel, (64, 64))[0] * 1.001  # a part of a larger circulant one
    assert padded[0] == pytest.approx(circular[0].item(), rel=0.2)
    assert (strided <= circular[: len(strided)] + 1e-10).all()  # Cauchy: rows are left out


def test_reshaped_is_one_matrix() -> None:
    kernel = kernel_of(5, 2)
    gram = torch.einsum("oihw,pihw->op", kernel, kernel)
    wanted = torch.linalg.eigvalsh(gram).flip(0).sqrt()
    assert torch.allclose(spectra.reshaped(kernel), wanted)


@pytest.mark.parametrize("grid", [(5, 5), (6, 6)])
def test_limiting_is_that_of_the_dense_matrix_cut_to_the_kernel(grid: tuple[int, int]) -> None:
    kernel, limit = kernel_of(3, 2), 2.0
    left, values, right = torch.linalg.svd(dense(kernel, *grid, circular=True), full_matrices=False)
    lowered = left @ torch.diag(values.clamp(max=limit)) @ right
    # How output pixel (1, 1) takes input pixels (0..2, 0..2) is the kernel.
    rows = lowered.view(3, *grid, 2, *grid)[:, 1, 1]
    found = spectra.limited_kernel(kernel, grid, limit)
    assert torch.allclose(found, rows[:, :, :3, :3], atol=1e-10)
    left_over = spectra.circular(found, grid)[0].item()
    assert limit < left_over < values[0].item()  # cutting brings some of it back


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    kernel = kernel_of(3, 3)
    limit = spectra.circular(kernel, (6, 6))[0].item() + 1
    assert torch.allclose(spectra.limited_kernel(kernel, (6, 6), limit), kernel, atol=1e-12)


def test_a_grid_below_the_kernel_counts_as_large_as_it() -> None:
    kernel = kernel_of(3, 2)
    assert torch.equal(spectra.circular(kernel, (1, 2)), spectra.circular(kernel, (3, 3)))


def network(depth: int, width: int, channels: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    normalisation = Normalisation(mean=(0.5,) * channels, std=(0.25,) * channels)
    model = build(
        FixupResNet(depth=depth, width=width), channels=channels, classes=10, normalisation=normalisation
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_layers_know_the_grid_that_they_see() -> None:
    found = spectra.layers(network(8, 4), torch.zeros(1, 3, 32, 32))
    assert [layer.name for layer in found[:3]] == ["stem", "blocks.0.conv1", "blocks.0.conv2"]
    grids = [layer.grid for layer in found]
    assert grids == [(32, 32)] * 4 + [(16, 16)] + [(16, 16)] + [(8, 8)] + [None]


def test_a_limited_network_keeps_what_is_below_and_tells_what_is_left() -> None:
    model = network(8, 4)
    image = torch.zeros(1, 3, 16, 16)
    grids = {layer.name: layer.grid for layer in spectra.layers(model, image)}
    norms = {layer.name: layer.singular_values()[0].item() for layer in spectra.layers(model, image)}
    limit = sorted(norms.values())[4]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = spectra.limit_layers(model, grids, limit)
    after = {layer.name: layer.singular_values()[0].item() for layer in spectra.layers(model, image)}
    assert found.before == pytest.approx(max(norms.values()))
    assert found.after == pytest.approx(max(after.values()))
    assert found.log10_product == pytest.approx(
        torch.tensor([*after.values()]).log10().sum().item(), rel=1e-5
    )
    for name, norm in norms.items():
        same = torch.equal(model.state_dict()[f"{name}.weight"], before[f"{name}.weight"])
        assert same == (norm <= limit)
        assert after[name] <= norm
    assert after["head"] <= limit * (1 + 1e-6)


@pytest.mark.slow
def test_an_epoch_end_of_resnet_56_is_quick() -> None:
    model = network(56, 16)
    grids = {layer.name: layer.grid for layer in spectra.layers(model, torch.zeros(1, 3, 32, 32))}
    began = time.process_time()
    spectra.limit_layers(model, grids, 1.0)
    assert time.process_time() - began < 10  # measured: 6, on one core
