"""Columns of tables that are no error and no accuracy, and printed numbers that our source has lost."""

import pandas as pd

from robustfront.reporting.columns import Number, Printed, Quantity, printed_numbers
from robustfront.reporting.published import COLUMNS
from robustfront.reporting.rendering import _number
from robustfront.reporting.tables import LOST

LOSS = Quantity(
    "loss",
    "Loss",
    lambda results, run: Number(0.5, 0.4, 0.6, 10),
    "test",
    unit="nats",
    printed=Printed("loss", "none"),
)


def test_lost_numerals_are_told_from_numbers_and_from_nothing() -> None:
    lines = [
        ["t", "1", "a", "D", "loss", "none", "", None, "nats"],
        ["t", "2", "b", "D", "loss", "none", "", 0.25, "nats"],
        ["t", "3", "c", "D", "other", "none", "", 9.0, "nats"],
    ]
    found = printed_numbers(pd.DataFrame(lines, columns=COLUMNS), LOSS)
    assert found == {"1": (None, ""), "2": (0.25, "")}
    assert str(_number({"status": LOST})) == "lost"
