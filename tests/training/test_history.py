import csv
import math

import torch

from robustfront.methods.base import Losses
from robustfront.training.history import COLUMNS, EpochSums, not_finite, write_history


def test_file_has_the_agreed_columns_first_then_those_of_the_method(tmp_path) -> None:
    rows = [
        {"epoch": 1, "lr": 0.1, "train_clean_loss": 1 / 3, "anti_share": 0.5},
        {"epoch": 2, "lr": 0.1, "validation_clean_accuracy": 0.75, "other": 1.0},
    ]
    write_history(rows, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        found = list(reader)
    assert reader.fieldnames == [*COLUMNS, "anti_share", "other"]
    assert float(found[0]["train_clean_loss"]) == 1 / 3
    assert found[0]["validation_clean_accuracy"] == found[1]["anti_share"] == ""


def test_columns_are_the_documented_ones(project) -> None:
    text = (project / "docs" / "architecture.md").read_text()
    section = text[text.index("- `history.csv`") : text.index("- `eval/*.parquet`")]
    assert [name for name in COLUMNS if f"`{name}`" not in section] == [
        "train_clean_loss",
        "train_adversarial_loss",
    ]
    assert "`train_<part>`" in section


def test_columns_that_are_no_finite_numbers_are_named() -> None:
    row = {"epoch": 1, "a": math.nan, "b": -math.inf, "c": 0.0}
    assert not_finite(row) == ["a", "b"]


def test_the_loss_is_that_of_the_step_whatever_its_parts_are_called() -> None:
    sums = EpochSums()
    sums.add(Losses({"loss": torch.tensor(1.0), "penalty": torch.tensor(2.0)}), torch.zeros(4))
    assert sums.means(4) == {"train_loss": 3.0, "train_penalty": 2.0}
