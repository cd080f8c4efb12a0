"""Checks that an attack fails because the model is robust and not because the attack is blind.

After Athalye et al. 2018 (section 3.1) and Carlini et al. 2019 (section 3): an attack that knows more, or may
do more, must not do worse. Each check gives a verdict {check, passed, detail}; the numbers are in the detail.

Two attacks are compared image by image. The check fails if the one that ought to be weaker fells more images
by more than luck explains (one-sided exact McNemar test at 1 %) and by more than 0.2 points, the difference
that AutoAttack's own warning about Square tolerates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robustfront.attacks import Ball, input_gradient
from robustfront.attacks.autoattack import batch_statistics_layers, square
from robustfront.config.schema import PGDEvaluation, Suite
from robustfront.evaluation.batches import ascend, judge
from robustfront.evaluation.outcomes import successes
from robustfront.evaluation.statistics import mcnemar

if TYPE_CHECKING:
    from robustfront.models import Classifier

Verdict = dict[str, Any]

IMAGES = 128
"""Images that `of_model` looks at: about 550 forward passes each, against AutoAttack's 9,798."""

STEPS, MORE_STEPS, QUERIES = 20, 50, 300
LEVEL, TOLERATED_GAP = 0.01, 0.002
TOLERATED_ZEROS = 0.01
"""Share of images without gradient: that of a very confident prediction underflows in float32."""


def of_rows(rows: pd.DataFrame, suite: Suite) -> list[Verdict]:
    """AutoAttack must not leave more images standing than PGD: for each pair of the suite's attacks."""
    kinds = {name: attack.kind for name, attack in suite.attacks.items()}
    pairs = [(a, b) for a in kinds for b in kinds if (kinds[a], kinds[b]) == ("autoattack", "pgd")]
    verdicts = []
    for strong, weak in pairs:
        fell = pd.concat([successes(rows, strong), successes(rows, weak)], axis=1, join="inner").to_numpy()
        verdicts.append(_not_weaker("AutoAttack not above PGD", {strong: fell[:, 0], weak: fell[:, 1]}))
    return verdicts


def of_model(model: Classifier, x: Tensor, labels: Tensor, ball: Ball, suite: Suite) -> list[Verdict]:
    """The other checks, on the first `IMAGES` of the given images, all classified correctly by the model.

    The reference attack is PGD with 20 steps of eps / 8 from a uniform start. Square is left out where the
    clip is not `image`, which it cannot respect. If predictions depend on the rest of the batch, nothing else
    is run, as it would mean nothing.
    """
    layers = batch_statistics_layers(model)
    detail = f"batch norms without running statistics: {', '.join(layers) or 'none'}"
    verdicts = [_verdict("no batch statistics at test time", not layers, detail)]
    if layers:
        return verdicts
    if len(x) == 0:
        return [*verdicts, _verdict("images to attack", False, "no test image is classified correctly")]
    target = _Target(model, x[:IMAGES], labels[:IMAGES], suite)
    shorter = {f"PGD-{STEPS}": target.pgd(ball, STEPS)}
    longer = {f"PGD-{MORE_STEPS}": target.pgd(ball, MORE_STEPS)}
    verdicts += [_gradients(target), _not_weaker("more steps not weaker", longer | shorter)]
    if ball.threat.clip == "image":
        black = {f"Square-{QUERIES}": target.square(ball)}
        verdicts.append(_not_weaker("black-box not stronger than white-box", longer | black))
    return [*verdicts, _growing_eps(target, ball)]


@dataclass(frozen=True)
class _Target:
    """A model and images that it classifies correctly. Attacks return which of the images fell, (N,) bool."""

    model: Classifier
    x: Tensor
    labels: Tensor
    suite: Suite

    def pgd(self, ball: Ball, steps: int, start: Literal["none", "uniform"] = "uniform") -> np.ndarray:
        step_size = 2.5 * ball.threat.eps / STEPS
        attack = PGDEvaluation.model_validate({"steps": steps, "step_size": step_size, "start": start})
        seed, batch_size = self.suite.seed, self.suite.batch_size
        x_adv = ascend(self.model, self.x, self.labels, ball, attack, seed=seed, batch_size=batch_size)
        return self._fell(x_adv)

    def square(self, ball: Ball) -> np.ndarray:
        seed, batch_size = self.suite.seed, self.suite.batch_size
        x_adv = square(
            self.model, self.x, self.labels, ball, queries=QUERIES, seed=seed, batch_size=batch_size
        )
        return self._fell(x_adv)

    def _fell(self, x_adv: Tensor) -> np.ndarray:
        prediction, _ = judge(self.model, x_adv, self.labels, self.suite.batch_size)
        return (prediction != self.labels).cpu().numpy()


def _gradients(target: _Target) -> Verdict:
    size = target.suite.batch_size
    batches = zip(target.x.split(size), target.labels.split(size), strict=True)
    zero = [(input_gradient(target.model, *batch) == 0).flatten(1).all(dim=1) for batch in batches]
    share = torch.cat(zero).float().mean().item()
    detail = f"no gradient at {share:.1%} of {len(target.x)} images; {TOLERATED_ZEROS:.0%} tolerated"
    return _verdict("input gradients not zero", share <= TOLERATED_ZEROS, detail)


def _growing_eps(target: _Target, ball: Ball) -> Verdict:
    """Where eps lets every image be turned into one and the same grey, no more than 1 of K may stand.

    Without a random start: at such radii noise fells images by itself, gradient or not.
    """
    per_pixel = 0.5 / ball.scale.expand_as(target.x[:1])
    erasing = (per_pixel.amax() if ball.threat.norm == "linf" else per_pixel.norm()).item()
    radii = sorted({ball.threat.eps, min(8 * ball.threat.eps, erasing), erasing})
    balls = [replace(ball, threat=ball.threat.model_copy(update={"eps": eps})) for eps in radii]
    standing = [1 - target.pgd(wider, STEPS, "none").mean() for wider in balls]
    shown = ", ".join(f"{share:.1%} at {eps:.4g}" for eps, share in zip(radii, standing, strict=True))
    chance = 1 / target.model.classes
    detail = f"robust accuracy {shown}; at most {chance:.1%}, that of guessing, expected of the last"
    return _verdict("robust accuracy falls to 0 as eps grows", bool(standing[-1] <= chance), detail)


def _not_weaker(check: str, attacks: dict[str, np.ndarray]) -> Verdict:
    """Of two attacks, name -> which images fell, the first must not be weaker than the second."""
    (strong, strong_fell), (weak, weak_fell) = attacks.items()
    n = len(strong_fell)
    only_weak, only_strong, p = mcnemar(weak_fell, strong_fell, "greater")
    passed = p >= LEVEL or only_weak - only_strong <= TOLERATED_GAP * n
    detail = (
        f"of {n} images {strong_fell.sum()} fell to {strong}, {weak_fell.sum()} to {weak}, "
        f"{only_weak} of them to {weak} alone (p = {p:.2g})"
    )
    return _verdict(check, passed, detail)


def _verdict(check: str, passed: bool, detail: str) -> Verdict:
    return {"check": check, "passed": bool(passed), "detail": detail}
