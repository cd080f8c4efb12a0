"""Checks that an attack's failure is the model's robustness and not the attack's blindness.

After Carlini et al. 2019 (On Evaluating Adversarial Robustness, section 3) and Athalye et al. 2018 (section 3.1):
an attack that knows more, or may do more, must not do worse. Each check gives a verdict {check, passed, detail}.

Comparisons of two attacks are paired, image by image. One fails if the attack that ought to be weaker fells more
images by more than luck explains (one-sided exact McNemar test at 1 %) and by more than 0.2 points, the difference
that AutoAttack's own warning about Square tolerates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.attacks.autoattack import batch_statistics_layers, square
from robustfront.attacks.engine import input_gradient
from robustfront.config.schema import PGDEvaluation, Suite, Threat
from robustfront.evaluation.batches import ascend, judge
from robustfront.evaluation.outcomes import successes
from robustfront.evaluation.statistics import mcnemar

if TYPE_CHECKING:
    from robustfront.models import Classifier

Verdict = dict[str, Any]

IMAGES = 256
"""Images the model's own checks look at: about 525 forward passes each, against AutoAttack's 9,798."""

STEPS, MORE_STEPS, QUERIES = 20, 50, 300
LEVEL, TOLERATED_GAP = 0.01, 0.002
TOLERATED_ZEROS = 0.01
"""Share of images whose gradient may be 0: in float32 that of a very confident prediction underflows."""


def of_rows(rows: pd.DataFrame, suite: Suite) -> list[Verdict]:
    """AutoAttack must not leave more images standing than PGD, for each pair of such attacks in the suite."""
    names = {kind: [n for n, attack in suite.attacks.items() if attack.kind == kind] for kind in ("autoattack", "pgd")}
    verdicts = []
    for strong in names["autoattack"]:
        for weak in names["pgd"]:
            pair = pd.concat([successes(rows, strong), successes(rows, weak)], axis=1, join="inner").to_numpy()
            verdicts.append(_not_weaker("AutoAttack not above PGD", (strong, pair[:, 0]), (weak, pair[:, 1])))
    return verdicts


def of_model(model: Classifier, x: Tensor, labels: Tensor, ball: Ball, suite: Suite) -> list[Verdict]:
    """The other checks, on the first `IMAGES` of the given images, all of which the model classifies correctly.

    The reference attack is PGD with 20 steps of eps / 8 from a uniform start. Square is left out where the clip is
    not that of images, which it cannot respect. If predictions depend on the rest of the batch, nothing else means
    anything and nothing else is run.
    """
    layers = batch_statistics_layers(model)
    detail = f"batch norms without running statistics: {', '.join(layers) or 'none'}"
    verdicts = [_verdict("no batch statistics at test time", not layers, detail)]
    if layers:
        return verdicts
    if len(x) == 0:
        return [*verdicts, _verdict("images to attack", False, "no test image is classified correctly")]
    target = _Target(model, x[:IMAGES], labels[:IMAGES], suite)
    white, longer = target.pgd(ball, STEPS), target.pgd(ball, MORE_STEPS)
    verdicts.append(_gradients_not_zero(target))
    verdicts.append(_not_weaker("more steps not weaker", f"PGD-{MORE_STEPS}", longer, f"PGD-{STEPS}", white))
    if ball.threat.clip == "image":
        black, check = target.square(ball), "black-box not stronger than white-box"
        verdicts.append(_not_weaker(check, f"PGD-{STEPS}", white, f"Square-{QUERIES}", black))
    return [*verdicts, _falls_as_eps_grows(target, ball, white)]


@dataclass(frozen=True)
class _Target:
    """A model, and images it classifies correctly. The attacks return which of them fell, (N,) bool."""

    model: Classifier
    x: Tensor
    labels: Tensor
    suite: Suite

    def pgd(self, ball: Ball, steps: int, start: Literal["none", "uniform"] = "uniform") -> np.ndarray:
        attack = PGDEvaluation(steps=steps, step_size=2.5 * ball.threat.eps / STEPS, start=start)
        seed, batch_size = self.suite.seed, self.suite.batch_size
        return self._fell(ascend(self.model, self.x, self.labels, ball, attack, seed=seed, batch_size=batch_size))

    def square(self, ball: Ball) -> np.ndarray:
        seed, batch_size = self.suite.seed, self.suite.batch_size
        x_adv = square(self.model, self.x, self.labels, ball, queries=QUERIES, seed=seed, batch_size=batch_size)
        return self._fell(x_adv)

    def _fell(self, x_adv: Tensor) -> np.ndarray:
        prediction, _ = judge(self.model, x_adv, self.labels, self.suite.batch_size)
        return (prediction != self.labels).cpu().numpy()


def _gradients_not_zero(target: _Target) -> Verdict:
    size = target.suite.batch_size
    batches = zip(target.x.split(size), target.labels.split(size), strict=True)
    zero = [(input_gradient(target.model, *batch) == 0).flatten(1).all(dim=1) for batch in batches]
    share = torch.cat(zero).float().mean().item()
    detail = f"cross entropy has no gradient at {share:.1%} of {len(target.x)} images; {TOLERATED_ZEROS:.0%} tolerated"
    return _verdict("input gradients not zero", share <= TOLERATED_ZEROS, detail)


def _falls_as_eps_grows(target: _Target, ball: Ball, white: np.ndarray) -> Verdict:
    """At 8 eps no fewer images fall than at eps; at the radius where all images can be turned into one and the same
    grey, no more than 1 of K may stand. Without a random start, which at such radii fells images by itself."""
    per_pixel = 0.5 / ball.scale.expand(target.x[:1].shape)
    erasing = (per_pixel.max() if ball.threat.norm == "linf" else per_pixel.norm()).item()
    radii = [min(8 * ball.threat.eps, erasing), erasing]
    wide, widest = (target.pgd(_resized(ball, eps), STEPS, "none") for eps in radii)
    chance = 1 / target.model.classes
    passed = _luck(wide, white) and float(1 - widest.mean()) <= chance
    shown = zip([ball.threat.eps, *radii], [white, wide, widest], strict=True)
    detail = ", ".join(f"{1 - fell.mean():.1%} stand at eps {eps:.4g}" for eps, fell in shown)
    return _verdict("robust accuracy falls to 0 as eps grows", passed, f"{detail}; {chance:.1%} tolerated at last")


def _resized(ball: Ball, eps: float) -> Ball:
    return replace(ball, threat=ball.threat.model_copy(update={"eps": eps}))


def _not_weaker(check: str, strong_name: str, strong: ArrayLike, weak_name: str, weak: ArrayLike) -> Verdict:
    ...


def _verdict(check: str, passed: bool, detail: str) -> Verdict:
    return {"check": check, "passed": bool(passed), "detail": detail}
