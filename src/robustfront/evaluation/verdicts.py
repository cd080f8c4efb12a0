"""What the verdict of a masking check is worth: that nothing was found counts where it would have been.

Nothing here imports torch.
"""

import re
from collections.abc import Collection, Sequence
from math import log2
from typing import Literal

from robustfront.evaluation.comparisons import LEVEL, TOLERATED_GAP
from robustfront.evaluation.outcomes import Verdict
from robustfront.evaluation.statistics import chance_of_more

State = Literal["failed", "not checked", "undecided", "passed", "not applicable"]
"""`undecided`: nothing was found, on too few images to find it."""
WORST_FIRST: tuple[State, ...] = ("failed", "not checked", "undecided", "passed")

BATCH = "no batch statistics at test time"
GRADIENTS = "input gradients not zero"
GROWING = "robust accuracy falls to 0 as eps grows"

TOLERATED_ZEROS = 0.01
"""Share of images without gradient: that of a very confident prediction underflows in float32."""
MATTERS = 0.1
"""A share of images that a check must not overlook. What masking hid was tens of points in most of the
defences that Athalye et al. (2018, table 1) broke; ten is the least that is called so."""
POWER = 0.8
"""How surely it must not: the convention of Cohen (1988)."""


def had_power(check: str, images: int) -> bool:
    """Whether a check on so many images would have failed if there were something to find.

    Something is: each image does what the check looks for with a probability `MATTERS` above what it
    tolerates. Then it must fail with a probability of `POWER` (exact, binomial). A comparison of two attacks
    fails if more images fall to the weaker one alone than luck explains; none to the stronger one alone, its
    best case (90 images). Of growing eps the hardest case is that of two classes, where guessing is right for
    half of the images (25). That for layers looks at no image.
    """
    if check == BATCH:
        return True
    if check == GRADIENTS:
        tolerated, share = TOLERATED_ZEROS * images, TOLERATED_ZEROS + MATTERS
    elif check == GROWING:
        tolerated, share = images / 2, 1 / 2 + MATTERS
    else:  # luck makes k images fall to one attack alone with probability 2^-k
        tolerated, share = max(log2(1 / LEVEL), TOLERATED_GAP * images), MATTERS
    return chance_of_more(tolerated, images, share) >= POWER


def judged(verdicts: Sequence[Verdict]) -> list[State]:
    """What each verdict of one record comes to.

    Records of before say in words alone on how many images, and not each time: all are of the same ones.
    """
    told = [verdict.get("images", _in_words(verdict["detail"])) for verdict in verdicts]
    common = max((images for images in told if images is not None), default=0)
    return [
        _state(verdict, common if images is None else images)
        for verdict, images in zip(verdicts, told, strict=True)
    ]


def together(states: Collection[State]) -> State:
    """The worst of what several checks came to; a model without any is not checked."""
    return next((state for state in WORST_FIRST if state in states), "not checked")


def _state(verdict: Verdict, images: int) -> State:
    if verdict["passed"] is None:
        return "not applicable"
    if not verdict["passed"]:
        return "failed"
    return "passed" if had_power(verdict["check"], images) else "undecided"


def _in_words(detail: str) -> int | None:
    found = re.search(r"\bof (\d+) images", detail)
    return int(found[1]) if found else None
