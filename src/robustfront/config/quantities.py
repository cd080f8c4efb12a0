"""Numbers as users write them: epsilon as a fraction of 255, counts, positive reals."""

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def parse_fraction(value: Any) -> Any:
    """The float behind "8/255"; anything that is not a string is returned unchanged.

    Raises ValueError for a string that is neither a number nor a quotient of two numbers.
    """
    if not isinstance(value, str):
        return value
    numerator, _, denominator = value.partition("/")
    try:
        return float(Fraction(numerator.strip()) / Fraction(denominator.strip() or 1))
    except (ValueError, ZeroDivisionError):
        raise ValueError('write a number or a quotient such as "8/255"') from None


Length = Annotated[float, BeforeValidator(parse_fraction), Field(ge=0, le=255, allow_inf_nan=False)]
"""A distance between images, in the units of the threat model's space; "8/255" is understood."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
