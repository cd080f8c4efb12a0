"""Singular values of the layers of a network, and networks whose layers have none above a limit.

Of a convolution with circular padding they are exact and cheap (Sedghi, Gupta and Long, The Singular Values
of Convolutional Layers, 2019, arXiv 1805.10408, Theorem 6): a two-dimensional Fourier transform over the
n x n grid of pixels makes of the kernel a small matrix (outputs, inputs) for each frequency, and the singular
values of the layer are those of all these matrices. Our layers pad with zeros and some have a stride, which
leaves out rows: the values are those of the layer next to it, as in that paper and in S003.

In `reshaped` the kernel is instead one matrix (outputs, inputs * height * width), which is what the weights
are called in OrthDNNs (Jia et al. 2019): no grid, and other numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustfront.errors import ConfigError

Grid = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """A convolution with the `grid` of pixels that it sees, or a linear layer, whose grid is None."""

    name: str
    weight: Tensor
    grid: Grid | None

    def singular_values(self) -> Tensor:
        """All of them, falling, float64: of a linear layer its own, of a convolution those on its grid."""
        return linear(self.weight) if self.grid is None else circular(self.weight, self.grid)

    def norm(self) -> float:
        """The largest of them."""
        if self.grid is None:
            return linear(self.weight)[0].item()
        matrices = _per_frequency(self.weight.double(), _room(self.weight, self.grid))
        return torch.linalg.eigvalsh(_gram(matrices)).max().clamp(min=0).sqrt().item()

    def limited(self, limit: float) -> Tensor:
        """The weights with singular values above the limit lowered to it; of convolutions nearly."""
        if self.grid is None:
            return _lowered(self.weight.double(), limit).to(self.weight)
        return limited_kernel(self.weight, self.grid, limit)


@torch.no_grad()
def layers(model: nn.Module, image: Tensor) -> list[Layer]:
    """The convolutions and linear layers of a network, in the order in which an `image` meets them.

    The image is (1, C, H, W). ConfigError for a grouped convolution, whose matrices are others.
    """
    found: list[Layer] = []
    names = {module: name for name, module in model.named_modules()}

    def seen(module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(module.weight, Tensor)
        if isinstance(module, nn.Conv2d):
            if module.groups != 1:
                raise ConfigError(f"{names[module]}: the spectrum of a grouped convolution is not known here")
            height, width = inputs[0].shape[-2:]
            found.append(Layer(names[module], module.weight, (height, width)))
        else:
            found.append(Layer(names[module], module.weight, None))

    hooks = [
        module.register_forward_hook(seen)
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training = model.training
    try:
        model.eval()(image)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return found


@torch.no_grad()
def circular(kernel: Tensor, grid: Grid) -> Tensor:
    """Singular values of the circular convolution on a grid (H, W), falling, float64 (H * W * min(out, in),).

    A grid smaller than the kernel counts as large as the kernel.
    """
    height, width = _room(kernel, grid)
    if kernel.shape[-2:] == (1, 1):
        return linear(kernel[:, :, 0, 0]).repeat_interleave(height * width)
    values = torch.linalg.svdvals(_per_frequency(kernel.double(), (height, width)))
    # Frequencies u and -u have the same; the transform of real numbers has one of them, but for the
    # columns that are their own mirror image.
    twice = torch.full((values.shape[1],), 2, device=kernel.device)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    return values.repeat_interleave(twice, dim=1).flatten().sort(descending=True).values


@torch.no_grad()
def reshaped(weight: Tensor) -> Tensor:
    """Singular values of the kernel as one matrix (outputs, everything else), falling, float64."""
    return linear(weight.flatten(1))


@torch.no_grad()
def linear(weight: Tensor) -> Tensor:
    """Singular values of a matrix, falling, float64."""
    return torch.linalg.svdvals(weight.double())


@torch.no_grad()
def limited_kernel(kernel: Tensor, grid: Grid, limit: float) -> Tensor:
    """The kernel of the circular convolution with its singular values lowered to `limit`, cut to its size.

    What is lowered frequency by frequency is a kernel as large as the grid. Cutting it to the old size
    (Sedghi et al., section 3) leaves singular values that may be above the limit again.
    """
    room = _room(kernel, grid)
    lowered = _lowered(_per_frequency(kernel.double(), room), limit)
    large = torch.fft.irfft2(lowered.permute(2, 3, 0, 1), s=room)
    return large[:, :, : kernel.shape[-2], : kernel.shape[-1]].to(kernel)


@dataclass(frozen=True)
class Limited:
    """The largest singular value of any layer before and after; the product of all layers' norms after.

    `log10_product` is minus infinity where a layer is zero.
    """

    before: float
    after: float
    log10_product: float


@torch.no_grad()
def limit_layers(model: nn.Module, grids: Mapping[str, Grid | None], limit: float) -> Limited:
    """Lowers the singular values of the layers named in `grids` to `limit`, in place, and measures again."""
    before, after, product = 0.0, 0.0, 0.0
    for name, grid in grids.items():
        weight = model.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        layer = Layer(name, weight, grid)
        largest = layer.norm()
        before = max(before, largest)
        if largest > limit:
            weight.copy_(layer.limited(limit))
            largest = layer.norm()
        after, product = max(after, largest), product + (math.log10(largest) if largest else -math.inf)
    return Limited(before, after, product)


def _room(kernel: Tensor, grid: Grid) -> Grid:
    height, width = (max(pair) for pair in zip(grid, kernel.shape[-2:], strict=True))
    return height, width


def _per_frequency(kernel: Tensor, grid: Grid) -> Tensor:
    """(H, W // 2 + 1, outputs, inputs), complex: the matrix of each frequency of half the plane."""
    return torch.fft.rfft2(kernel, s=grid).permute(2, 3, 0, 1)


def _gram(matrices: Tensor) -> Tensor:
    """The smaller ones of A^H A and A A^H, of matrices A (..., outputs, inputs)."""
    outputs, inputs = matrices.shape[-2:]
    return matrices.mH @ matrices if inputs <= outputs else matrices @ matrices.mH


def _lowered(matrices: Tensor, limit: float) -> Tensor:
    """Matrices (..., outputs, inputs) without singular values above `limit`.

    By the eigenvectors of their Gram matrices, in half the time of a singular value decomposition: what they
    are exact for, the large values, is all that changes.
    """
    squares, vectors = torch.linalg.eigh(_gram(matrices))
    factors = (limit / squares.clamp(min=limit**2).sqrt()).unsqueeze(-2)
    projected = (vectors * factors) @ vectors.mH
    outputs, inputs = matrices.shape[-2:]
    return matrices @ projected if inputs <= outputs else projected @ matrices
