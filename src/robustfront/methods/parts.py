"""Sample generation and outer losses to combine: Table 1 of S000 is generator x loss x projector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from robustfront import attacks, losses
from robustfront.config.validation import did_you_mean
from robustfront.errors import ConfigError
from robustfront.methods.base import Losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
    from torch import Tensor

    from robustfront.attacks.objectives import Objective
    from robustfront.config.schema import Ascent
    from robustfront.models import Classifier

Generator = Literal["pgd", "trades", "score", "lse", "dlr"]
"""What the training attack ascends: cross entropy (Madry et al. 2018), the KL divergence from the clean
prediction (Zhang et al. 2019), the squared distance from its softmax, or that from the label (Pang et al.
2022), or the difference of logits ratio (Croce & Hein 2020)."""

FROM_CLEAN: frozenset[Generator] = frozenset({"trades", "score"})
"""Generators that ascend a distance from the clean prediction."""

Clipped = Literal["sum", "distance"]
"""What of SCORE's loss is clipped: error and weighted distance together, or the distance alone."""

OUTER_UNITS = {"ce": 3, "lse": 3, "trades": 6, "score": 6}
"""Name of an outer loss -> `outer_units`."""


def generation_units(generator: Generator, steps: int) -> int:
    """A forward and an input gradient per step, and one clean forward where the objective refers to it."""
    _require_known(generator, get_args(Generator), "generator")
    return 2 * steps + (1 if generator in FROM_CLEAN else 0)


def outer_units(loss: str) -> int:
    """Forward and full backward of the clean and/or adversarial batch, in forward passes."""
    _require_known(loss, OUTER_UNITS, "loss")
    return OUTER_UNITS[loss]


def _require_known(name: str, known: Iterable[str], what: str) -> None:
    if name not in known:
        raise ConfigError(f"a method says {what} = '{name}': there is no such{did_you_mean(name, known)}")


def generate(
    kind: Generator,
    model: Classifier,
    x: Tensor,
    y: Tensor,
    *,
    ball: attacks.Ball,
    ascent: Ascent,
    mode: Literal["eval", "train"],
    generator: torch.Generator,
    feature_gradient: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Adversarial images for `x` (B, C, H, W); the model is left in train mode.

    The clean forward that `trades` and `score` refer to is computed once, in the same mode as the attack. It
    and the step after a gaussian start are in float32 also under autocast: noise of 0.001 changes logits by a
    tenth of what rounding to bfloat16 does, and an ascent that begins by following rounding errors gets less
    far (on a standard model of digits, to a KL divergence 17 % smaller after 7 steps).
    """
    _require_known(kind, get_args(Generator), "generator")
    model.train(mode == "train")
    attacked = attacks.stand_in(model, x)
    first = model if kind in FROM_CLEAN and ascent.start in ("gaussian", "sign") else None
    objective: Objective
    match kind:
        case "pgd":
            objective = attacks.objectives.ce
        case "lse":
            objective = attacks.objectives.lse
        case "dlr":
            objective = attacks.objectives.dlr
        case "trades":
            objective = attacks.objectives.kl_to(_clean_logits(attacked, first, x))
        case "score":
            clean = losses.widen(_clean_logits(attacked, first, x))
            objective = attacks.objectives.lse_to(clean.softmax(dim=1))
    x_adv = attacks.pgd(
        attacked,
        x,
        y,
        ball,
        ascent,
        objective=objective,
        generator=generator,
        feature_gradient=feature_gradient,
        first=first,
    )
    model.train()
    return x_adv


def _clean_logits(attacked: Classifier, exact: Classifier | None, x: Tensor) -> Tensor:
    """By `exact` without autocast where given, otherwise as the attack will compute them."""
    import torch

    with torch.no_grad():
        if exact is None:
            return attacked(x)
        with torch.autocast(x.device.type, enabled=False):
            return exact(x)


def adversarial_cross_entropy(model: Classifier, x_adv: Tensor, y: Tensor) -> Losses:
    """Mean cross entropy of the adversarial images (Madry et al. 2018, Eq. 2.1)."""
    logits = model(x_adv)
    return Losses({"adversarial_loss": losses.cross_entropy(logits, y).mean()}, adversarial_logits=logits)


def trades(model: Classifier, x: Tensor, x_adv: Tensor, y: Tensor, beta: float) -> Losses:
    """CE(x) + beta KL(p(x) || p(x')), gradients through x and x' (Zhang et al. 2019, Eq. 5; S000, Eq. 3)."""
    clean, adversarial = model(x), model(x_adv)
    return Losses(
        {
            "clean_loss": losses.cross_entropy(clean, y).mean(),
            "adversarial_loss": beta * losses.kl_divergence(clean, adversarial).mean(),
        },
        clean_logits=clean,
        adversarial_logits=adversarial,
    )


def score(
    model: Classifier,
    x: Tensor,
    x_adv: Tensor,
    y: Tensor,
    beta: float,
    *,
    smoothing: float = 0.0,
    clip: float = 0.0,
    clipped: Clipped | None = None,
) -> Losses:
    """|p(x) - t|^2 + beta |p(x') - p(x)|^2 on softmax outputs (Pang et al. 2022, Eq. 10).

    t is the label smoothed by `smoothing` (`losses.squared_error`). Of what is `clipped` counts, image by
    image, what is above `clip_bound` of `clip` (section 5.2). With the sum clipped the loss is one part.
    """
    clean, adversarial = model(x), model(x_adv)
    error = losses.squared_error(clean, y, smoothing)
    distance = losses.squared_distance(clean, adversarial)
    bound = clip_bound(clip, clean.shape[1])
    if clipped == "sum":
        parts = {"clipped_loss": (error + beta * distance - bound).relu().mean()}
    else:
        if clipped == "distance":
            distance = (distance - bound).relu()
        parts = {"clean_loss": error.mean(), "adversarial_loss": beta * distance.mean()}
    return Losses(parts, clean_logits=clean, adversarial_logits=adversarial)


def adversarial_squared_error(
    model: Classifier, x_adv: Tensor, y: Tensor, *, smoothing: float, clip: float
) -> Losses:
    """|p(x') - t|^2, as far as it is above `clip_bound`: SCORE's loss without a clean image; t as there."""
    logits = model(x_adv)
    above = losses.squared_error(logits, y, smoothing) - clip_bound(clip, logits.shape[1])
    return Losses({"adversarial_loss": above.relu().mean()}, adversarial_logits=logits)


def clip_bound(clip: float, classes: int) -> float:
    """|q - onehot(y)|^2 = clip^2 K / (K - 1), with q = 1 - clip on the label, the rest shared out evenly."""
    return clip**2 * classes / (classes - 1)
