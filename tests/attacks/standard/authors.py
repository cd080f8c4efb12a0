"""The authors' code, run beside ours on a toy network in float64, with all points it asks about on record."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustfront.attacks.standard.problem import Problem
from toy_models import Convolutional, random_images

SHAPE = (3, 10, 10)
NORMS = {"linf": "Linf", "l2": "L2"}


class Recorder(nn.Module):
    """Passes on to a network, and keeps the points it was asked about: `queries`, a list of (B, C, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.queries: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.queries.append(x.detach().clone())
        return self.network(x)


def curved(classes: int = 6) -> nn.Module:
    """A network steep enough for attacks to get somewhere, and far from linear."""
    torch.manual_seed(0)
    model = Convolutional(classes)
    model.body[0].weight.data *= 6
    model.head.weight.data *= 12
    return model.eval().requires_grad_(False)


def images(model: nn.Module, n: int) -> tuple[Tensor, Tensor]:
    """Images of which some withstand more than others, and the model's predictions as labels."""
    x = random_images(n, SHAPE).to(next(model.parameters()).dtype)
    return x, model(x).argmax(1)


def sturdy_images(model: nn.Module, n: int) -> tuple[Tensor, Tensor]:
    """Images that the model classifies with a wide margin."""
    x, y = images(model, 8 * n)
    first, second = model(x).topk(2, dim=1).values.unbind(1)
    chosen = (first - second).argsort(descending=True)[:n]
    return x[chosen], y[chosen]


def problem(network: nn.Module, norm: str, eps: float) -> Problem:
    return Problem(network, network, norm, eps)


def recorded(run: Callable[[Recorder], object], network: nn.Module) -> list[Tensor]:
    """The points that `run` asks `network` about. The authors' code draws from torch's global generator."""
    torch.manual_seed(0)
    recorder = Recorder(network)
    run(recorder)
    return recorder.queries
