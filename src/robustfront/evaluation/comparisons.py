"""Two attacks compared image by image: one that knows more, or may do more, must not do worse. No torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from robustfront.config.evaluations import Suite
from robustfront.evaluation.statistics import mcnemar

Verdict = dict[str, Any]
"""`check`, `passed` (None: it does not apply to the network), and `detail` with the numbers."""

LEVEL, TOLERATED_GAP = 0.01, 0.002


def autoattack_not_above_pgd(suite: Suite, fell: "Mapping[str, pd.Series[bool]]") -> list[Verdict]:
    """AutoAttack must not leave more images standing than PGD: a verdict for each such pair of the suite.

    `fell`: attack of the suite -> which images fell to it, by sample. Attacks that it lacks are left out.
    """
    kinds = {name: attack.kind for name, attack in suite.attacks.items() if name in fell}
    pairs = [(a, b) for a in kinds for b in kinds if (kinds[a], kinds[b]) == ("autoattack", "pgd")]
    check = "AutoAttack not above PGD"
    return [not_weaker(check, strong, fell[strong], weak, fell[weak]) for strong, weak in pairs]


def not_weaker(
    check: str,
    strong: str,
    strong_fell: "pd.Series[bool] | np.ndarray",
    weak: str,
    weak_fell: "pd.Series[bool] | np.ndarray",
) -> Verdict:
    """Whether the attack `strong` is not weaker than `weak`, on the images that both saw.

    What fell is given by sample, or as arrays (N,) of the same images. Fails if `weak` fells more of them by
    more than luck explains (one-sided exact McNemar test at 1 %) and by more than 0.2 points, the difference
    that AutoAttack's own warning about Square tolerates.
    """
    both = pd.concat([pd.Series(strong_fell), pd.Series(weak_fell)], axis=1, join="inner").to_numpy()
    n, counts = len(both), both.sum(axis=0)
    only_weak, only_strong, p = mcnemar(both[:, 1], both[:, 0], "greater")
    passed = p >= LEVEL or only_weak - only_strong <= TOLERATED_GAP * n
    detail = (
        f"of {n} images {counts[0]} fell to {strong}, {counts[1]} to {weak}, "
        f"{only_weak} of them to {weak} alone (p = {p:.2g})"
    )
    return verdict(check, passed, detail)


def verdict(check: str, passed: bool | None, detail: str) -> Verdict:
    return {"check": check, "passed": None if passed is None else bool(passed), "detail": detail}
