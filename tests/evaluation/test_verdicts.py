"""What a check that found nothing is worth, against checks made on drawn images."""

from collections.abc import Callable

import numpy as np
import pytest

from robustfront.evaluation.comparisons import compare, not_weaker, verdict
from robustfront.evaluation.verdicts import (
    BATCH,
    GRADIENTS,
    GROWING,
    MATTERS,
    POWER,
    TOLERATED_ZEROS,
    had_power,
    judged,
    together,
)

DRAWS = 2000
COMPARISON = "more steps not weaker"


def weaker(rng: np.random.Generator, n: int) -> bool:
    """Whether the check fails if the stronger attack misses every tenth image that the weaker one fells."""
    missed = rng.random(n) < MATTERS
    return not not_weaker(COMPARISON, "strong", "weak", compare(~missed, np.ones(n, dtype=bool)))["passed"]


def blind(rng: np.random.Generator, n: int) -> bool:
    return (rng.random(n) < TOLERATED_ZEROS + MATTERS).mean() > TOLERATED_ZEROS


def standing(rng: np.random.Generator, n: int) -> bool:
    return (rng.random(n) < 1 / 2 + MATTERS).mean() > 1 / 2


@pytest.mark.parametrize(
    ("check", "fails", "too_few", "enough"),
    [(COMPARISON, weaker, 64, 128), (GRADIENTS, blind, 8, 20), (GROWING, standing, 8, 40)],
)
def test_a_check_has_power_where_it_fails_on_what_matters(
    check: str, fails: Callable[[np.random.Generator, int], bool], too_few: int, enough: int
) -> None:
    rng = np.random.default_rng(0)
    caught = {n: np.mean([fails(rng, n) for _ in range(DRAWS)]) for n in (too_few, enough)}
    assert caught[too_few] < POWER - 0.05 < POWER + 0.03 < caught[enough]
    assert (had_power(check, too_few), had_power(check, enough)) == (False, True)


@pytest.mark.parametrize("check", [COMPARISON, GRADIENTS, GROWING, "images to attack"])
def test_no_check_has_power_without_images(check: str) -> None:
    assert not had_power(check, 0)


def test_a_tolerated_gap_takes_power_from_no_large_check() -> None:
    assert had_power(COMPARISON, 10_000)


@pytest.mark.parametrize(
    ("passed", "images", "state"),
    [
        (True, 128, "passed"),
        (True, 64, "undecided"),
        (False, 64, "failed"),  # what was found was found
        (None, 128, "not applicable"),
    ],
)
def test_nothing_found_counts_where_it_would_have_been(passed: bool | None, images: int, state: str) -> None:
    assert judged([verdict(COMPARISON, passed, "", images)]) == [state]


@pytest.mark.parametrize(("images", "state"), [(128, "passed"), (64, "undecided")])
def test_records_of_before_say_in_words_on_how_many_images(images: int, state: str) -> None:
    said = {
        BATCH: "batch norms without running statistics: none",
        GRADIENTS: f"no gradient at 0.0% of {images} images; 1% tolerated",
        COMPARISON: f"of {images} images 60 fell to PGD-50, 58 to PGD-20, 0 of them to PGD-20 alone (p = 1)",
        GROWING: "robust accuracy 50.0% at 0.1, 0.0% at 0.5; at most 10.0%, that of guessing, expected",
    }
    before = [{"check": check, "passed": True, "detail": detail} for check, detail in said.items()]
    assert judged(before) == ["passed", "passed", state, "passed"]


def test_a_record_without_any_number_of_images_decides_nothing() -> None:
    assert judged([{"check": GROWING, "passed": True, "detail": "robust accuracy 0.0% at 0.5"}]) == [
        "undecided"
    ]


def test_the_worst_of_several_checks_is_theirs_together() -> None:
    assert together(["passed", "not applicable"]) == "passed"
    assert together(["passed", "undecided"]) == "undecided"
    assert together(["undecided", "not checked"]) == "not checked"
    assert together(["not checked", "failed", "passed"]) == "failed"
    assert together([]) == "not checked"
