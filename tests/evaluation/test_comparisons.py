import numpy as np
import pandas as pd
import pytest

from robustfront.config.evaluations import Suite
from robustfront.evaluation.comparisons import autoattack_not_above_pgd, not_weaker

SUITE = Suite.model_validate(
    {
        "name": "toy",
        "threat": {"eps": 0.1},
        "attacks": {"pgd": {"kind": "pgd", "steps": 20, "step_size": 0.01}, "aa": {"kind": "autoattack"}},
    }
)


def series(fell: list[bool]) -> pd.Series:
    return pd.Series(fell, index=pd.Index(range(len(fell)), name="sample"), name="success")


@pytest.mark.parametrize(
    ("only_pgd", "only_aa", "n", "passed"),
    [
        (0, 0, 100, True),
        (0, 30, 100, True),
        (6, 0, 100, True),  # p = 1/64: may be luck
        (7, 0, 100, False),  # p = 1/128
        (20, 15, 100, True),
        (15, 0, 10_000, True),  # sure, but no more than 0.2 points
        (25, 0, 10_000, False),
    ],
)
def test_autoattack_above_pgd_fails_beyond_luck_and_tolerance(
    only_pgd: int, only_aa: int, n: int, passed: bool
) -> None:
    rest = n - only_pgd - only_aa
    pgd = series([True] * only_pgd + [False] * (only_aa + rest))
    autoattack = series([False] * only_pgd + [True] * only_aa + [False] * rest)
    (verdict,) = autoattack_not_above_pgd(SUITE, {"pgd": pgd, "aa": autoattack})
    assert verdict["check"] == "AutoAttack not above PGD"
    assert verdict["passed"] is passed
    assert f"of {n} images {only_aa} fell to aa, {only_pgd} to pgd" in verdict["detail"]


def test_attacks_are_compared_on_the_images_both_saw() -> None:
    fell = {"pgd": series([True] * 50), "aa": series([True] * 20).set_axis(range(40, 60))}
    (verdict,) = autoattack_not_above_pgd(SUITE, fell)
    assert verdict["passed"]
    assert "of 10 images 10 fell to aa, 10 to pgd" in verdict["detail"]


def test_an_attack_that_is_not_there_is_compared_with_none() -> None:
    assert autoattack_not_above_pgd(SUITE, {"pgd": series([True])}) == []


def test_arrays_of_the_same_images_are_taken_as_they_are() -> None:
    strong, weak = np.zeros(50, dtype=bool), np.arange(50) < 10
    verdict = not_weaker("a check", "strong", strong, "weak", weak)
    detail = "of 50 images 0 fell to strong, 10 to weak, 10 of them to weak alone (p = 0.00098)"
    assert verdict == {"check": "a check", "passed": False, "detail": detail}
