"""Two attacks compared image by image: one that knows more, or may do more, must not do worse. No torch."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from robustfront.config.evaluations import Network, Suite, other_conditions, told
from robustfront.config.schema import Threat
from robustfront.evaluation.outcomes import Verdict
from robustfront.evaluation.statistics import mcnemar

LEVEL = 0.01
"""Of the tests: what happens less often by luck is none."""
TOLERATED_GAP = 0.002
"""By so much an attack may be weaker than it should: AutoAttack's own warning about Square tolerates this."""
REFUTING_GAP = 0.05
"""An attack that fells so much more refutes the number of another one. PGD leaves a few points more standing
than AutoAttack where gradients are honest, and often over ten where they are not (Croce & Hein 2020)."""
STRONGEST = "autoattack"
"""The kind of attack that no other one is expected to beat."""


class Compared(NamedTuple):
    """Two attacks on the `n` images both saw: how many fell to each, and to it alone.

    `p`: how often luck makes the second attack fell so many more (one-sided exact McNemar test).
    """

    n: int
    first: int
    second: int
    only_first: int
    only_second: int
    p: float

    @property
    def gap(self) -> float:
        """By how much more of the images the second one fells, as a fraction."""
        return (self.second - self.first) / max(self.n, 1)


class Ground(NamedTuple):
    """What two numbers of one network share that may be compared image by image.

    `condition`: what it is told when it judges. `company`: seed and size of the batches, if it looks at them.
    """

    threat: Threat
    split: str
    condition: float | None
    company: tuple[int, int] | None


def ground(suite: Suite, attack: str, network: Network) -> Ground:
    """That of what a suite shows of a network under the name `attack`."""
    own = told(suite, network)
    condition = None if own is None else other_conditions(suite).get(attack, own)
    company = (suite.seed, suite.batch_size) if network.looks_at_batches else None
    return Ground(suite.threat, suite.split, condition, company)


def strongest_first(suite: Suite) -> list[str]:
    """The attacks of a suite: AutoAttack, then those of most passes, all restarts counted."""

    def strength(name: str) -> tuple[bool, float]:
        attack = suite.attacks[name]
        return attack.kind == STRONGEST, attack.passes(1) or 0

    return sorted(suite.attacks, key=strength, reverse=True)


def compare(first: "pd.Series[bool] | np.ndarray", second: "pd.Series[bool] | np.ndarray") -> Compared:
    """What fell to two attacks, given by sample, or as arrays (N,) of the same images."""
    both = pd.concat([pd.Series(first), pd.Series(second)], axis=1, join="inner").to_numpy(dtype=bool)
    in_first, in_second = (int(count) for count in both.sum(axis=0))
    only_second, only_first, p = mcnemar(both[:, 1], both[:, 0], "greater")
    return Compared(len(both), in_first, in_second, only_first, only_second, p)


def not_weaker(check: str, strong: str, weak: str, found: Compared) -> Verdict:
    """Whether the attack `strong`, the first of what was `found`, is not weaker than `weak`.

    Fails if `weak` fells more images by more than luck explains (at 1 %) and by more than 0.2 points.
    """
    passed = found.p >= LEVEL or found.gap <= TOLERATED_GAP
    detail = (
        f"of {found.n} images {found.first} fell to {strong}, {found.second} to {weak}, "
        f"{found.only_second} of them to {weak} alone (p = {found.p:.2g})"
    )
    return verdict(check, passed, detail, found.n)


def refuted(found: Compared) -> bool:
    """Whether the second attack refutes the number of the first, which was made in the same ball.

    It does if it fells over 5 points more of the images both saw, by more than luck explains (at 1 %). That
    says of the first number that it is no robust error; the second one may stand.
    """
    return found.p < LEVEL and found.gap > REFUTING_GAP


def verdict(check: str, passed: bool | None, detail: str, images: int) -> Verdict:
    return {
        "check": check,
        "passed": None if passed is None else bool(passed),
        "detail": detail,
        "images": images,
    }
