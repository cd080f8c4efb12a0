"""The ball of a threat model: where an attack may start, how it steps, and what it is projected onto.

Images x are floats (B, C, H, W) in [0, 1] pixel units throughout. A threat model measures lengths in units of
its own space; `scale` says, per channel, how many pixel units one such unit is: 1 for `pixel`, the standard
deviation for `normalised`. In z = x / scale the ball has one radius, eps, in every channel.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustfront.attacks.draws import Source, draw
from robustfront.config.schema import Ascent, Threat

TOLERANCE = 1e-6
"""What `contains` forgives, in pixel units and relative to eps: a few roundings of a float32 in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Ball:
    """The allowed x' around each x: |x' - x| <= eps in the threat's space, and x' in the box [low, high].

    `scale`, `low` and `high` are (1, C, 1, 1) tensors in pixel units, on the device of the images. `factors`
    (B, 1, 1, 1), where given, multiplies the radius of each image of one batch: see `scaled`.
    """

    threat: Threat
    scale: Tensor
    low: Tensor
    high: Tensor
    factors: Tensor | None = None

    @classmethod
    def of(cls, threat: Threat, mean: Tensor, std: Tensor) -> "Ball":
        """The ball of `threat` for a model that normalises by `mean` and `std`, (1, C, 1, 1) in pixel units.

        `clip: normalised-unit` keeps (x' - mean) / std in [0, 1], and the pixels valid besides.
        """
        scale = torch.ones_like(std) if threat.space == "pixel" else std.detach().clone()
        low, high = torch.zeros_like(scale), torch.ones_like(scale)
        if threat.clip == "normalised-unit":
            low, high = mean.detach().clone(), (mean + std).detach().clamp(max=1)
        return cls(threat, scale, low, high)

    @property
    def eps(self) -> float | Tensor:
        """The radius in threat units: a number, or (B, 1, 1, 1) where each image has its own."""
        return self.threat.eps if self.factors is None else self.threat.eps * self.factors

    def scaled(self, factors: Tensor) -> "Ball":
        """This ball with radius eps * factors[i] around image i of a batch; `factors` (B,) > 0."""
        return replace(self, factors=factors.view(-1, 1, 1, 1))

    def start(
        self, x: Tensor, ascent: Ascent, generator: Source | None, given: Tensor | None = None
    ) -> Tensor:
        """The first iterate of an ascent, projected only where `ascent.clip_start` says so.

        It is `given`, or else x, x + start_std * N(0, I), x +- start_std with signs drawn, or uniform in the
        norm ball. `generator` is any that `draws.draw` takes; a plain one lives on the device of `x`.
        """
        started = self._noisy(x, ascent, generator) if given is None else given.detach()
        return self.project(started, x) if ascent.clip_start else started

    def _noisy(self, x: Tensor, ascent: Ascent, generator: Source | None) -> Tensor:
        if ascent.start == "none":
            return x
        if ascent.start == "gaussian":
            noise = ascent.start_std * draw(torch.randn, x, generator)
        elif ascent.start == "sign":
            noise = ascent.start_std * (1 - 2 * (draw(torch.rand, x, generator) < 0.5).to(x.dtype))
        elif self.threat.norm == "linf":
            noise = self.eps * (2 * draw(torch.rand, x, generator) - 1)
        else:  # uniform in volume: the radius of a d-ball is distributed as U^(1/d)
            uniform = draw(torch.rand, x, generator, len(x), 1, 1, 1)
            radius = self.eps * uniform ** (1 / x.shape[1:].numel())
            noise = radius * _unit(draw(torch.randn, x, generator))
        return x + self.scale * noise

    def step(self, x_adv: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        """`x_adv` moved by `step_size` (threat units) along steepest ascent of the norm; not yet projected.

        `gradient` is dL/dx. For linf the direction is its sign, with sign(0) = 0. For l2 it is
        dL/dz = scale * dL/dx over its norm, z being what the norm measures; a zero gradient moves nothing.
        """
        direction = gradient.sign() if self.threat.norm == "linf" else _unit(self.scale * gradient)
        return x_adv + step_size * self.scale * direction

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """`x_adv` moved into the norm ball around `x`, then into the box.

        For linf this is the nearest allowed point. For l2 it is an allowed point, which is all attacks need;
        the nearest one would take an iterative solver.
        """
        if self.threat.norm == "linf":
            radius = self.eps * self.scale
            inside = x_adv.clamp(x - radius, x + radius)
        else:
            delta = x_adv - x
            norm = torch.linalg.vector_norm(delta / self.scale, dim=(1, 2, 3), keepdim=True)
            shrunk = x + delta * (self.eps / norm.clamp_min(torch.finfo(norm.dtype).tiny))
            inside = torch.where(norm <= self.eps, x_adv, shrunk)
        return inside.clamp(self.low, self.high)

    def distance(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """|x' - x| per sample, (B,), in units of the threat's space.

        Where the box excludes x itself (`normalised-unit`) it is measured from the point of the box nearest
        to x: there the clip alone may move an image by more than eps.
        """
        delta = (x_adv - x.clamp(self.low, self.high)) / self.scale
        if self.threat.norm == "linf":
            return delta.abs().amax(dim=(1, 2, 3))
        return torch.linalg.vector_norm(delta, dim=(1, 2, 3))

    def contains(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Whether each x' is allowed for its x, (B,) bool, up to `TOLERANCE`; False where x' is NaN."""
        in_box = ((x_adv >= self.low - TOLERANCE) & (x_adv <= self.high + TOLERANCE)).all(dim=(1, 2, 3))
        eps = self.eps.flatten() if isinstance(self.eps, Tensor) else self.eps
        slack = TOLERANCE * (1 / self.scale.min() + eps)
        return in_box & (self.distance(x_adv, x) <= eps + slack)


def _unit(v: Tensor) -> Tensor:
    """`v` over its l2 norm, per image; zero stays zero.

    It is divided by its largest entry first: gradients of confident networks fall below 1e-20, and the
    squares of such numbers are 0 in float32.
    """
    largest = v.abs().amax(dim=(1, 2, 3), keepdim=True)
    v = v / torch.where(largest > 0, largest, 1)
    return v / torch.linalg.vector_norm(v, dim=(1, 2, 3), keepdim=True).clamp_min(1)
