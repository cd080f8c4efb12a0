import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from robustfront.reporting.other_runs import compare, heading
from robustfront.reporting.rendering import write_table
from robustfront.reporting.tables import NPAT_TABLE1, NPAT_TABLE2, NPAT_TABLE3, reproduce


@pytest.fixture
def stem(finished):
    path = finished.reports / "tables" / "npat_table1"
    write_table(reproduce(NPAT_TABLE1, finished.plan, finished.layout), path, NPAT_TABLE1)
    return path


def read(stem, suffix):
    return stem.with_name(f"{stem.name}.{suffix}").read_text(encoding="utf-8")


def markdown_rows(stem):
    lines = [text for text in read(stem, "md").splitlines() if text.startswith("|")]
    return [[cell.strip() for cell in text.strip("|").split("|")] for text in lines]


def test_csv_keeps_full_precision(finished, stem):
    table = reproduce(NPAT_TABLE1, finished.plan, finished.layout)
    again = pd.read_csv(f"{stem}.csv", keep_default_na=False, na_values={"error_percent": ""})
    assert again["error_percent"].equals(table["error_percent"])
    assert again.columns.tolist() == table.columns.tolist()


def test_markdown_is_a_table_with_published_next_to_reproduced(stem):
    header, rule, *rows = markdown_rows(stem)
    assert {len(row) for row in [header, rule, *rows]} == {4 + 3 + 3 + 3 + 1}
    assert len(rows) == 15
    assert header[4] == "Published, CIFAR10: Clean"
    assert header[8] == "Reproduced, normalised space: pgd-20 (n = 400)"


def test_cells_show_interval_seeds_and_masking(stem):
    rows = {row[0]: row for row in markdown_rows(stem)}
    assert rows["NPDA + PGD-AT"][4:8] == ["6.58", "39.37", "39.40", "6.00 [2.0, 11.0]"]
    assert rows["PGD-AT"][7] == "11.00 ± 2.5"
    assert rows["PGD-AT"][-1] == "3"
    assert rows["st model"][9] == "96.00 [92.0, 100.0]"
    assert rows["st model"][10:13] == ["5.00 [1.0, 10.0]", "99.00† [95.0, 100.0]", "100.00† [96.0, 100.0]"]
    assert rows["CAAT"][4:] == ["11.66", "22.00", "22.05", *["–"] * 6, "not run at this scale"]


def test_the_labels_of_a_row_are_those_of_its_table(finished):
    stem = finished.reports / "t"
    write_table(reproduce(NPAT_TABLE3, finished.plan, finished.layout), stem, NPAT_TABLE3)
    header, _, *rows = markdown_rows(stem)
    assert header[:3] == ["Method", "β", "Published, CIFAR10: Clean"]
    assert [row[:5] for row in rows[:2]] == [
        ["NPDA", "0.5", "6.04", "47.90", "47.94"],
        ["NPDA", "1", "6.20", "42.50", "42.53"],
    ]
    write_table(reproduce(NPAT_TABLE2, finished.plan, finished.layout), stem, NPAT_TABLE2)
    assert "- Hidden size as printed" in read(stem, "md")


def test_other_runs_stand_alone_above_a_rule(finished):
    finished.add("mine", {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)})
    table, stem = compare(finished.plan, finished.layout), finished.reports / "t"
    write_table(table, stem, heading(table))
    header, _, mine, *paper = markdown_rows(stem)
    assert not any("Published" in column for column in header)
    assert mine[:4] == ["mine", "not in the paper", "scratch", "2.00 [0.0, 7.0]"]
    assert [row[:2] for row in paper] == [
        [name, "Table 1"] for name in ("st model", "PGD-AT", "NPDA + PGD-AT")
    ]
    assert read(stem, "html").count('class="rule"') == 1
    before, after = read(stem, "tex").split("\\midrule\n")[1:]
    assert before.startswith("mine")
    assert after.startswith("st model")


@pytest.mark.parametrize("suffix", ["md", "tex", "html", "csv"])
def test_every_format_says_that_the_scale_is_not_comparable(stem, suffix):
    assert "igits scale: not comparable in value" in read(stem, suffix)


def test_latex_is_balanced_ascii_and_escaped(stem):
    text = read(stem, "tex")
    assert text.isascii()
    body = text.split("\n", 2)[2]  # after the comment for the reader and the macro
    assert not re.search(r"(?<!\\)%(?!\n)", body), "an unescaped % hides the rest of its line"
    assert not re.search(r"(?<!\\)[#_]", body.replace("$L_\\infty$", ""))
    for environment in ("table*", "tabular"):
        assert body.count(f"\\begin{{{environment}}}") == body.count(f"\\end{{{environment}}}") == 1
    assert body.replace("\\{", "").count("{") == body.replace("\\}", "").count("}")
    assert all(f"\\{rule}" in text for rule in ("toprule", "midrule", "bottomrule"))


def test_latex_rows_have_as_many_cells_as_columns(stem):
    body = read(stem, "tex").split("\\midrule\n")[1].split("\\bottomrule")[0].strip().splitlines()
    assert len(body) == 15
    assert {len(re.split(r"(?<!\\)&", text)) for text in body} == {14}


def test_html_fragment_has_a_row_header_in_every_row_and_equal_widths(stem):
    class Widths(HTMLParser):
        rows: list[int]
        row_headers = 0

        def handle_starttag(self, tag, attrs):
            attributes = dict(attrs)
            if tag == "tr":
                self.rows.append(0)
            if tag in ("td", "th"):
                self.rows[-1] += int(attributes.get("colspan", 1))
            self.row_headers += attributes.get("scope") == "row"

    parser = Widths()
    parser.rows = []
    parser.feed(read(stem, "html"))
    assert parser.rows == [11] * 17
    assert parser.row_headers == 15


def test_two_suites_in_one_space_are_told_apart(finished):
    for key, suite in finished.plan.suites.items():
        threat = suite.threat.model_copy(update={"space": "pixel"})
        finished.plan.suites[key] = suite.model_copy(update={"threat": threat})
    stem = finished.reports / "t"
    write_table(reproduce(NPAT_TABLE1, finished.plan, finished.layout), stem, NPAT_TABLE1)
    header = markdown_rows(stem)[0]
    assert header[7].startswith("Reproduced, pixel space (paper-space): ")
    assert header[10].startswith("Reproduced, pixel space (pixel-space): ")
