import numpy as np
import pandas as pd
import pytest

from robustfront.config.evaluations import Suite
from robustfront.evaluation.comparisons import compare, not_weaker, refuted, strongest_first

PGD = {"kind": "pgd", "steps": 20, "step_size": 0.01}


def series(fell: list[bool]) -> pd.Series:
    return pd.Series(fell, index=pd.Index(range(len(fell)), name="sample"), name="success")


def apart(only_first: int, only_second: int, n: int) -> tuple[pd.Series, pd.Series]:
    """What fell to two attacks that agree on all other images, half of which fell."""
    rest = n - only_first - only_second
    both = [image % 2 == 0 for image in range(rest)]
    first = [True] * only_first + [False] * only_second + both
    return series(first), series([not fell for fell in first[: only_first + only_second]] + both)


@pytest.mark.parametrize(
    ("only_weak", "only_strong", "n", "passed"),
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
def test_an_attack_is_weaker_beyond_luck_and_tolerance(
    only_weak: int, only_strong: int, n: int, passed: bool
) -> None:
    found = compare(*apart(only_strong, only_weak, n))
    verdict = not_weaker("a check", "strong", "weak", found)
    assert (verdict["check"], verdict["passed"], verdict["images"]) == ("a check", passed, n)
    both = (n - only_weak - only_strong + 1) // 2
    assert (
        f"of {n} images {both + only_strong} fell to strong, {both + only_weak} to weak" in verdict["detail"]
    )


@pytest.mark.parametrize(
    ("only_first", "only_second", "n", "expected"),
    [
        (0, 57, 300, True),
        (0, 0, 300, False),
        (57, 0, 300, False),  # the second one is the weaker
        (0, 15, 300, False),  # no more than 5 points
        (0, 16, 300, True),
        (0, 6, 60, False),  # 10 points, but p = 1/64
        (0, 7, 60, True),
        (40, 60, 300, False),  # 6.7 points, but p = 0.03
        (0, 499, 10_000, False),  # sure, but no more than a few points
    ],
)
def test_a_number_is_refuted_by_a_few_points_and_more_than_luck(
    only_first: int, only_second: int, n: int, expected: bool
) -> None:
    assert refuted(compare(*apart(only_first, only_second, n))) is expected


def test_attacks_are_compared_on_the_images_both_saw() -> None:
    found = compare(series([True] * 20).set_axis(range(40, 60)), series([True] * 50))
    assert found == (10, 10, 10, 0, 0, 1.0)


def test_attacks_that_saw_no_image_in_common_say_nothing() -> None:
    found = compare(series([True]), series([False]).set_axis([7]))
    assert (found.n, refuted(found)) == (0, False)
    assert not_weaker("a check", "strong", "weak", found)["images"] == 0


def test_arrays_of_the_same_images_are_taken_as_they_are() -> None:
    strong, weak = np.zeros(50, dtype=bool), np.arange(50) < 10
    verdict = not_weaker("a check", "strong", "weak", compare(strong, weak))
    detail = "of 50 images 0 fell to strong, 10 to weak, 10 of them to weak alone (p = 0.00098)"
    assert verdict == {"check": "a check", "passed": False, "detail": detail, "images": 50}


@pytest.mark.parametrize(
    ("attacks", "expected"),
    [
        ({}, []),
        ({"a": PGD | {"steps": 100}, "b": {"kind": "autoattack"}}, ["b", "a"]),
        ({"a": PGD | {"steps": 10}, "b": PGD | {"steps": 6, "restarts": 2}}, ["b", "a"]),
    ],
)
def test_the_strongest_attack_is_autoattack_else_the_one_of_most_passes(
    attacks: dict[str, object], expected: list[str]
) -> None:
    suite = Suite.model_validate({"name": "s", "threat": {"eps": 0.1}, "attacks": attacks})
    assert strongest_first(suite) == expected
