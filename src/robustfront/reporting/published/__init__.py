"""The numbers the papers print, transcribed: what the reproduced numbers are shown beside."""

from importlib import resources

import pandas as pd


def read_published(name: str) -> pd.DataFrame:
    """The published table `name`, one line per printed number; empty labels are empty strings.

    `s000_table1`: NPAT (S000), Table 1. Columns: `row` (position in the table), `run` (its name in
    params.yaml), `method`, `generation`, `loss`, `pretrained` (the labels as printed), `dataset`, `attack`
    (clean, pgd, autoattack), `eps` (nominal), `error_percent`.
    """
    with resources.files(__name__).joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, keep_default_na=False)
