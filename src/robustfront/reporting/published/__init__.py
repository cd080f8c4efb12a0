"""The numbers the papers print, transcribed: what the reproduced numbers are shown beside."""

from importlib import resources

import pandas as pd


def read_published(name: str) -> pd.DataFrame:
    """The published table `name`, one line per printed number.

    `s000_table1`, `s000_table2`, `s000_table3`: NPAT (S000). Columns: `row` (position in the table), `run`
    (its name in params.yaml), the labels of the row as printed (texts, empty where the paper has none),
    `dataset`, `attack` (clean, pgd, autoattack), `eps` (nominal), `error_percent`.
    """
    with resources.files(__name__).joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, keep_default_na=False, dtype=str)
    return table.astype({"row": int, "error_percent": float})
