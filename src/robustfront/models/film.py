"""FiLM (Perez et al. 2018) as once-for-all adversarial training has it (Wang et al. 2020, NeurIPS).

A number lambda per image becomes a code; after a batch norm a small network of the code scales and shifts
each channel. Which numbers have which code, and which batch norms are modulated: `config.networks.film`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from robustfront.config.networks.film import Film


class Told(NamedTuple):
    """What a batch of images is told: codes (B, D), and how many images, the first ones, have lambda = 0.

    That is 0 for a network without dual batch norm, which does not ask.
    """

    codes: Tensor
    zeros: int


class Encoding(nn.Module):
    """The code (B, D) of each lambda (B,).

    The rows belong to the values in their order; they are buffers, so they are stored with the weights: a
    network must be told in the codes that it has learned. Between two values codes are interpolated linearly.
    """

    values: Tensor
    rows: Tensor

    def __init__(self, film: Film) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(film.values))
        self.register_buffer("rows", _rows(film))

    def forward(self, condition: Tensor) -> Tensor:
        if not self.rows.numel():
            return condition[:, None]
        if len(self.values) == 1:
            return self.rows.expand(len(condition), -1)
        condition = condition.to(self.values.dtype)
        above = torch.searchsorted(self.values, condition.contiguous()).clamp(1, len(self.values) - 1)
        low, high = self.values[above - 1], self.values[above]
        share = ((condition - low) / (high - low))[:, None]
        return (1 - share) * self.rows[above - 1] + share * self.rows[above]


def _rows(film: Film) -> Tensor:
    """The code of each of the values (K, D); (0,) where lambda is its own code."""
    count, width = len(film.values), film.width
    match film.encoding:
        case "orthogonal":
            generator = torch.Generator().manual_seed(film.seed)
            gaussian = torch.randn(width, width, generator=generator, dtype=torch.float64)
            rows = torch.linalg.qr(gaussian)[0]
        case "onehot":
            rows = torch.eye(width)
        case "dct":  # type II, not normalised
            frequency, place = torch.arange(width, dtype=torch.float64)[:, None], torch.arange(width)
            rows = 2 * torch.cos(math.pi * frequency * (2 * place + 1) / (2 * width))
        case "none":
            return torch.empty(0)
    return rows[:count].float()


class Modulation(nn.Module):
    """h -> scale * h + shift per image and channel: a 2-layer network of the code.

    As in the public code, leaky ReLU (slope 0.01) follows its outputs, too, which therefore are hardly ever
    far below 0; scale is the first half of them.
    """

    def __init__(self, channels: int, code_length: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(code_length, 2 * channels)
        self.outputs = nn.Linear(2 * channels, 2 * channels)

    def forward(self, h: Tensor, codes: Tensor) -> Tensor:
        found = leaky_relu(self.outputs(leaky_relu(self.hidden(codes))))
        scale, shift = found[:, :, None, None].chunk(2, dim=1)
        return h * scale + shift


class DualNorm(nn.Module):
    """A batch norm for the first images of a batch, which have lambda = 0, and one for the others.

    Clean and attacked images of one lambda share theirs. A batch of one kind leaves the other one alone.
    """

    splits_batches = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.standard = nn.BatchNorm2d(channels)
        self.robust = nn.BatchNorm2d(channels)

    def forward(self, h: Tensor, zeros: int) -> Tensor:
        if zeros == 0:
            return self.robust(h)
        if zeros == len(h):
            return self.standard(h)
        return torch.cat([self.standard(h[:zeros]), self.robust(h[zeros:])])


class ToldNorm(nn.Module):
    """A batch norm, dual or not, and its modulation, if there is any.

    `residual`: whether it lies on the way through a residual branch (`Film.after`).
    """

    def __init__(self, channels: int, film: Film | None, *, residual: bool = True) -> None:
        super().__init__()
        self.dual = film is not None and film.dual_norm
        self.norm: nn.Module = DualNorm(channels) if self.dual else nn.BatchNorm2d(channels)
        modulated = film is not None and film.modulates(residual)
        self.film = Modulation(channels, film.code_length) if film is not None and modulated else None

    def forward(self, h: Tensor, told: Told | None) -> Tensor:
        if told is None:
            return self.norm(h)
        h = self.norm(h, told.zeros) if self.dual else self.norm(h)
        return h if self.film is None else self.film(h, told.codes)
