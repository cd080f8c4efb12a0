import math
from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from robustfront.config.quantities import (
    Count,
    Flag,
    Length,
    Name,
    Positive,
    Probability,
    Seed,
    parse_fraction,
)

POSITIVE = st.integers(1, 10**6)


@given(POSITIVE, POSITIVE)
@example(8, 255)
def test_quotients_are_the_nearest_float(numerator: int, denominator: int) -> None:
    assert parse_fraction(f"{numerator}/{denominator}") == float(Fraction(numerator, denominator))
    assert parse_fraction(f" {numerator} / {denominator} ") == numerator / denominator


@given(st.floats(allow_nan=False))
def test_texts_of_numbers_are_those_numbers_and_numbers_pass_through(value: float) -> None:
    assert parse_fraction(repr(value)) == value
    assert parse_fraction(value) is value


@given(st.text(alphabet="0123456789/.e-+ _nainf", max_size=12))
@example("1e999999999")
@example("1/1e-999999999")
@example("8/")
@example("/255")
def test_any_text_is_a_float_or_refused_at_once(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(parse_fraction(text), float)


@pytest.mark.parametrize("text", ["8/", "/255", "1/2/3", "8/0", "", "eight", "8:255"])
def test_what_is_no_quotient_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='must be a number or a quotient such as "8/255"'):
        parse_fraction(text)


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        (Length, [1e-9, "8/255", 255, 1], [0, -1e-9, 256, math.inf, math.nan, "inf", "nan", True, None, []]),
        (Positive, [1e-300, 10], [0, -1, math.inf, math.nan, "1", True]),
        (Probability, [0, 1, 0.5], [-0.1, 1.1, math.nan, "0.5", False]),
        (Count, [1, 10**9], [0, -1, 1.0, 10**9 + 1, "3", True]),
        (Seed, [0, 2**63 - 1], [-1, 2**63, 0.0, "0", False]),
        (Flag, [True, False], [0, 1, "no", "true", None]),
        (Name, ["a", "npgd-score_2.5", "7"], ["", "a b", "a/b", "..", "-a", "é", "a" * 65, "a\n", 7]),
    ],
)
def test_numbers_are_strict_and_bounded(kind: Any, accepted: list[Any], refused: list[Any]) -> None:
    adapter = TypeAdapter(kind)
    for value in accepted:
        adapter.validate_python(value)
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)
