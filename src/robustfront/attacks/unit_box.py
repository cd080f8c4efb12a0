"""A ball of either space as one radius inside the unit box, which is all that AutoAttack's attacks know.

A ball in normalised space has the radius eps * std_c in channel c, so the attack is run on z_c = a_c x_c with
a_c = min(std) / std_c, where the radius is eps * min(std) in every channel, for linf and l2 alike. As a_c <=
1, the images, z in [0, a_c], lie inside the attack's box. What it tries beyond a_c is clipped by the wrapped
model, f(clip(z / a, 0, 1)), and clipping only brings a point nearer to an image, so the threat model attacked
is exactly ours. In pixel space a = 1 and the wrapper changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustfront.attacks.ball import Ball
from robustfront.attacks.company import InCompany
from robustfront.attacks.engine import frozen
from robustfront.attacks.standard.problem import Network, Problem
from robustfront.errors import ConfigError
from robustfront.models.batch_norm import batch_statistics_layers


def searched(model: nn.Module, x: Tensor, ball: Ball, search: Callable[[Problem, Tensor], Tensor]) -> Tensor:
    """x' (B, C, H, W) by one attack of `standard` alone, `search`(problem, z) -> z'; x itself where z' = z.

    Raises as `unit_box` does.
    """
    with unit_box(model, ball, x) as (wrapped, z, eps):
        network = channels_last(wrapped)
        z_adv = search(Problem(network, network, ball.threat.norm, eps), z)
        return unwrapped(wrapped, z_adv, z, x, ball)


@contextmanager
def unit_box(model: nn.Module, ball: Ball, x: Tensor) -> Iterator[tuple[Scaled, Tensor, float]]:
    """The wrapped model, z and the radius there; the weights are frozen, and all is float32, meanwhile.

    Raises ConfigError for `clip: normalised-unit`, and for batch norm without running statistics, unless the
    model is `company.InCompany`; ValueError for a model in train mode.
    """
    if ball.threat.clip != "image":
        raise ConfigError(
            f"clip '{ball.threat.clip}' is beyond AutoAttack and its parts, whose box must hold the clean "
            "images: set clip to 'image', or use 'pgd'"
        )
    if not isinstance(model, InCompany) and (layers := batch_statistics_layers(model)):
        raise ConfigError(
            f"batch norm '{layers[0]}' has no running statistics, so predictions depend on the rest of the "
            "batch and the attack means nothing: train the model with running statistics"
        )
    if any(module.training for module in model.modules()):
        raise ValueError("the model is in train mode; call model.eval() before attacking it")
    a = ball.scale.min() / ball.scale
    with frozen(model), torch.autocast(x.device.type, enabled=False):
        yield Scaled(model, a).eval(), a * x, ball.threat.eps * ball.scale.min().item()


class Scaled(nn.Module):
    """z -> f(clip(z / a, 0, 1)), with a (1, C, 1, 1).

    The gradient passes the clip unchanged. Torch's own is 0 from the boundary on, where black and white
    pixels lie: these could not be attacked, and pixels beyond the boundary could not come back.
    """

    def __init__(self, model: nn.Module, a: Tensor) -> None:
        super().__init__()
        self.model, self.a = model, a

    def forward(self, z: Tensor) -> Tensor:
        x = z / self.a
        return self.model(x + (x.clamp(0, 1) - x).detach())


def channels_last(network: nn.Module) -> Network:
    """On CPU about 1.1 times as fast; the weights need no conversion."""
    return lambda z: network(z.to(memory_format=torch.channels_last))


def unwrapped(wrapped: Scaled, z_adv: Tensor, z: Tensor, x: Tensor, ball: Ball) -> Tensor:
    """x' of z'. The projection takes off rounding only; images the attack left alone come back bit by bit."""
    changed = (z_adv != z).flatten(1).any(dim=1).view(-1, 1, 1, 1)
    return torch.where(changed, ball.project(z_adv / wrapped.a, x), x).detach()
