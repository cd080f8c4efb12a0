import pandas as pd

from benchmarks.autoattack import FIELDS, page


def test_totals_add_up_by_data_and_engine_and_every_row_is_shown() -> None:
    rows = [
        ("digits-pgd-at-s0-1", "pixel-space", "cpu", "fast", 10, 4, 4, 10, 6.0, 2.0),
        ("digits-trades-b1-s0-2", "pixel-space", "cpu", "fast", 20, 5, 6, 19, 4.0, 3.0),
        ("digits-trades-b1-s0-2", "pixel-space", "cpu", "fast-bf16", 20, 5, 5, 20, 4.0, 1.0),
    ]
    text = page(pd.DataFrame(rows, columns=list(FIELDS)))
    assert "| digits | pixel-space | cpu | fast | 2 | 30 | 9 | 10 | 29 | 10.0 | 5.0 | 2.0 |" in text
    assert "| digits | pixel-space | cpu | fast-bf16 | 1 | 20 | 5 | 5 | 20 | 4.0 | 1.0 | 4.0 |" in text
    assert text.count("| digits-trades-b1-s0-2 |") == 2
