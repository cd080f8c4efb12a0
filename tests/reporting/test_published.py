from typing import get_args

import pandas as pd
import pytest

from robustfront.config.schema import Dataset
from robustfront.reporting.published import read_published

REPORTED = {"clean": "none", "pgd": "PGD", "autoattack": "AutoAttack"}


def test_every_row_has_clean_pgd_and_autoattack_error_on_both_data_sets():
    table = read_published("s000_table1")
    assert len(table) == 15 * 2 * 3
    per_row = table.groupby(["row", "run", "dataset"])["attack"].apply(list)
    assert len(per_row) == 30
    assert all(attacks == ["clean", "pgd", "autoattack"] for attacks in per_row)


@pytest.mark.parametrize(
    ("run", "dataset", "errors"),
    [
        ("st", "CIFAR10", [5.69, 84.28, 84.18]),
        ("pgd-at", "SVHN", [6.21, 26.70, 27.30]),
        ("trades-b0.01", "CIFAR10", [6.95, 62.13, 63.70]),
        ("npda-score", "SVHN", [4.94, 89.67, 89.70]),
        ("npgd-score-lse", "CIFAR10", [6.60, 34.52, 34.89]),
        ("npgd-score", "CIFAR10", [6.25, 35.85, 36.18]),
    ],
)
def test_numbers_are_those_printed_in_the_paper(run, dataset, errors):
    table = read_published("s000_table1")
    found = table[(table["run"] == run) & (table["dataset"] == dataset)]
    assert found["error_percent"].tolist() == errors


def test_params_may_name_the_data_sets_that_have_published_numbers_and_no_others():
    annotation = Dataset.model_fields["published_as"].annotation
    allowed = {name for option in get_args(annotation) for name in get_args(option)}
    assert {*read_published("s000_table1")["dataset"]} == allowed


def test_rows_keep_the_labels_of_the_paper_and_absent_ones_are_empty():
    rows = read_published("s000_table1").drop_duplicates("run").set_index("run")
    assert rows.loc["st", ["method", "generation", "loss", "pretrained"]].tolist() == [
        "st model",
        "",
        "CE",
        "ImageNet",
    ]
    assert rows.loc["npgd-score-lse", "pretrained"] == "lse st model"
    assert rows["row"].tolist() == list(range(1, 16))


@pytest.mark.parametrize(
    ("table", "label", "values"),
    [
        ("s000_table2", "hidden", ["512", "1024", "2048", "4096"]),
        ("s000_table3", "beta", ["0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5"]),
    ],
)
def test_the_studies_have_both_methods_at_every_value_on_both_data_sets(table, label, values):
    found = read_published(table)
    groups = found.groupby(["method", "dataset", "attack"], sort=False)[label].apply(list)
    assert len(groups) == 2 * 2 * 3
    assert all(group == values for group in groups)
    assert found.groupby("run")["row"].nunique().eq(1).all()


def test_rows_of_the_studies_that_are_in_table_1_have_its_runs():
    in_table_1 = set(read_published("s000_table1")["run"])
    for table, label, value in (("s000_table2", "hidden", "512"), ("s000_table3", "beta", "1.5")):
        rows = read_published(table)[["run", label]].drop_duplicates()
        assert set(rows.loc[rows[label] == value, "run"]) == {"npda-pgd", "npgd-pgd"}
        assert set(rows["run"]) & in_table_1 == {"npda-pgd", "npgd-pgd"}


def test_the_paper_contradicts_itself_where_we_say_so():
    def error(table, run, dataset, attack):
        rows = read_published(table).set_index(["run", "dataset", "attack"])["error_percent"]
        return rows[run, dataset, attack]

    assert error("s000_table2", "npda-pgd", "CIFAR10", "autoattack") == 39.86
    assert error("s000_table1", "npda-pgd", "CIFAR10", "autoattack") == 39.40
    assert error("s000_table3", "npgd-pgd", "SVHN", "autoattack") == 63.13
    assert error("s000_table1", "npgd-pgd", "SVHN", "autoattack") == 36.87


@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers_agree_with_the_independent_transcription(project, number):
    path = project.parent / "shared" / "reported" / f"S000_table{number}.csv"
    if not path.is_file():
        pytest.skip("needs ../shared/reported (a second transcription of the papers' numbers), absent here")
    ours, theirs = read_published(f"s000_table{number}"), pd.read_csv(path, keep_default_na=False)
    keys = ours["dataset"] + ours["attack"].map(REPORTED) + ours["error_percent"].astype(str)
    assert keys.tolist() == (theirs["dataset"] + theirs["attack"] + theirs["value"].astype(str)).tolist()
