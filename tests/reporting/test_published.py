import numpy as np
import pytest

from robustfront.errors import ConfigError
from robustfront.reporting.published import COLUMNS, printed_errors, read_published, read_rows

HEAD = ",".join(COLUMNS)
LINES = (
    "2,1,st,CIFAR10,clean_accuracy,none,,0.92,fraction",
    "2,1,st,CIFAR10,robust_accuracy,T-AutoPGD-DLR,8/255,0.4,fraction",
    "2,2,,CIFAR10,clean_accuracy,none,,,fraction",
)


def write(folder, *lines, head=HEAD):
    path = folder / "table2.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def test_numbers_are_read_with_their_texts_as_they_stand(tmp_path):
    table = read_published(write(tmp_path, *LINES))
    assert table["row"].tolist() == ["1", "1", "2"]
    assert table["eps"].tolist() == ["", "8/255", ""]
    assert table["run"].tolist() == ["st", "st", ""]
    np.testing.assert_array_equal(table["value"], [0.92, 0.4, np.nan])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([LINES[0].replace("0.92", "9O")], "line 2: value = '9O': is no number"),
        (
            [LINES[0].replace("fraction", "fractoin")],
            "line 2: unit = 'fractoin': must be percent or fraction, as clean_accuracy is a rate",
        ),
        ([LINES[0].replace("0.92", "92")], "line 2: value = '92': is no rate in its unit"),
        ([LINES[0], LINES[0]], "line 3: value = '0.92': the same number is given twice"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, lines, message):
    path = write(tmp_path, *lines)
    with pytest.raises(ConfigError) as caught:
        read_published(path)
    assert str(caught.value) == f"{path}: {message}"


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has columns row, run; they must be table, row, run, dataset,"):
        read_published(write(tmp_path, head="row,run"))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "table2.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"table2\.csv: cannot be read"):
        read_published(path)


def test_errors_in_points_are_made_of_accuracies_and_fractions(tmp_path):
    lines = [
        *LINES,
        "2,1,st,CIFAR10,robust_error,PGD,8/255,50.5,percent",
        "2,1,st,CIFAR10,robust_error,Square,8/255,60,percent",
        "2,1,st,CIFAR10,robust_error,Square,16/255,70,percent",
        "2,1,st,CIFAR10,train_accuracy,none,,99,percent",
        "2,1,st,SVHN,clean_error,none,,3,percent",
    ]
    found = printed_errors(read_published(write(tmp_path, *lines)), "CIFAR10")
    assert found.keys() == {("st", name) for name in ("clean", "t-autopgd-dlr", "pgd", "square")}
    assert found["st", "clean"] == pytest.approx([8])
    assert found["st", "t-autopgd-dlr"] == pytest.approx([60])
    assert found["st", "pgd"] == [50.5]
    assert found["st", "square"] == [60, 70]


# --------------------------------------------------------------------------------------------- rows
@pytest.fixture
def study(finished, tmp_path):
    """A study with one published table and no rows of its own."""
    folder = tmp_path / "mine"
    (folder / "published").mkdir(parents=True)
    write(folder / "published", *LINES)
    finished.studied(folder)
    return finished


def rows_file(study, text):
    (study.plan.study.folder / "rows.yaml").write_text(text, encoding="utf-8")


def test_rows_are_those_of_their_file_in_its_order_called_by_position(study):
    rows_file(
        study, 'tables: {table2: [{run: st, method: Vanilla, gamma: ""}, {method: Ours, gamma: "0.8"}]}'
    )
    first, second = study.results.rows("table2")
    assert (first.row, first.run, first.labels) == ("1", "st", {"method": "Vanilla", "gamma": ""})
    assert (second.row, second.run, second.labels) == ("2", "", {"method": "Ours", "gamma": "0.8"})


def test_without_a_file_rows_are_those_of_the_numbers(study):
    found = [(row.row, row.run, row.labels) for row in study.results.rows("table2")]
    assert found == [("1", "st", {"row": "1"}), ("2", "", {"row": "2"})]
    assert study.results.rows("table9") == []
    assert study.results.published("table9").empty


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("[{run: pgd-at, method: a}, {method: b}]", "row '1' is run 'st', in rows.yaml 'pgd-at'"),
        ("[{run: st, method: a}]", "row '2' is none of the rows of rows.yaml"),
        ("[{row: a, method: a}, {row: a, method: b}]", "tables.table2: two rows are called 'a'"),
        ("[{method: a}, {name: b}]", "row '2' has the labels name, the first one method"),
        ("[{run: st, beta: 0.5}]", r"tables.table2\[0\].beta = 0.5"),
    ],
)
def test_rows_that_do_not_fit_are_named(study, rows, message):
    rows_file(study, f"tables: {{table2: {rows}}}")
    with pytest.raises(ConfigError, match=message):
        study.results.rows("table2")


def test_the_file_of_rows_is_named_in_its_mistakes(tmp_path):
    path = tmp_path / "rows.yaml"
    path.write_text("table: {}")
    with pytest.raises(ConfigError, match=f"{path}: table: unknown key"):
        read_rows(path)
