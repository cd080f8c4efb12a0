"""Numbers and names as users write them: epsilon as a fraction of 255, counts, positive reals.

All of them are strict: a text is not a number, `true` is not 1, and 2.5 epochs are not 2.
"""

import re
from collections.abc import Hashable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict


def parse_fraction(value: Any) -> Any:
    """The float behind "8/255"; anything that is not a string is returned unchanged.

    Raises ValueError for a string that is neither a number nor a quotient of two numbers.
    """
    if not isinstance(value, str):
        return value
    numerator, slash, denominator = value.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError):
        raise ValueError('must be a number or a quotient such as "8/255"') from None


def length(value: float) -> str:
    """A radius or step size as a person writes it: a short decimal, else a fraction of 255 (`8/255`)."""
    decimal = f"{value:.4g}"
    numerator = round(value * 255, 1)
    if float(decimal) != value and abs(value * 255 - numerator) < 1e-6:
        return f"{numerator:g}/255"
    return decimal


def check_name(name: str) -> str:
    """The name. ValueError if it is not safe in a path or as a Snakemake wildcard."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            "a name begins with a letter or digit and has up to 64 letters, digits, '.', '_' and '-'"
        )
    return name


Name = Annotated[str, AfterValidator(check_name)]
"""What the user calls a run, data set, suite or scale: safe in a path and as a Snakemake wildcard."""

Length = Annotated[float, BeforeValidator(parse_fraction), Strict(), Field(gt=0, le=255, allow_inf_nan=False)]
"""A distance between images, in the units of the threat model's space; "8/255" is understood."""

Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Strict(), Field(ge=0, le=1)]
Share = Annotated[float, Strict(), Field(ge=0, lt=1)]
ProperFraction = Annotated[float, Strict(), Field(gt=0, lt=1)]

Condition = Annotated[float, Strict(), Field(allow_inf_nan=False), AfterValidator(lambda value: value + 0.0)]
"""What a conditional network is told beside the image; -0 is 0."""

Count = Annotated[int, Strict(), Field(ge=1, le=10**9)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
"""What torch and numpy both take."""


def path_part(text: str) -> str:
    """A label that somebody wrote, as a readable part of a path or a Snakemake wildcard."""
    return re.sub(r"[^A-Za-z0-9._-]+", "", text)[:80]


E = TypeVar("E", bound=Hashable)


def _check_distinct(values: tuple[E, ...]) -> tuple[E, ...]:
    if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise ValueError(f"must not name {twice[0]!r} twice")
    return values


Distinct = Annotated[tuple[E, ...], Field(min_length=1), AfterValidator(_check_distinct)]
"""A list of one or more things, no two of them equal."""

Flag = Annotated[bool, Strict()]
