import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest

from finished_study import NPAT
from robustfront.artefacts import write_json
from robustfront.config.studies import Expected
from robustfront.reporting.columns import Column, Derived
from robustfront.reporting.published import Row
from robustfront.reporting.rendering import write_table
from robustfront.reporting.tables import Source, TableSpec, reproduce
from robustfront.studies.npat.tables import COLUMNS, TABLE1, TABLE2, TABLE3


@pytest.fixture
def stem(finished):
    path = finished.reports / "tables" / "table1"
    write_table(reproduce(TABLE1, finished.results), path)
    return path


def read(stem, suffix):
    return stem.with_name(f"{stem.name}.{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", ["csv", "md", "tex", "html"])
def test_a_row_says_what_our_run_has_instead_of_what_the_paper_states(finished, suffix):
    """Table 1's start models are pretrained on ImageNet in print; ours is made from scratch, or is not."""
    stem = finished.reports / "tables" / "table1"
    stated = {"setting": "model.pretrained", "value": "imagenet", "quote": "so they say", "where": "4.1"}
    for runs, count in ((("st", "lse-st"), 1), (("pgd-at",), 0)):
        finished.studied(NPAT, expected=(Expected(**stated, runs=runs),))
        write_table(reproduce(TABLE1, finished.results), stem)
        text = read(stem, suffix)
        lines = 9 if suffix == "csv" else 1  # of clean, PGD and AutoAttack, in print and in two suites
        assert text.count("ImageNet; here: from scratch") == lines * count
        assert text.count("ImageNet") == 2 * lines  # lse-st was not run
    (st,) = finished.results.find("st", "digits-11112222")
    pretrained = st.config.model.model_copy(update={"pretrained": "imagenet"})
    st.config = st.config.model_copy(update={"model": pretrained})
    finished.studied(NPAT, expected=(Expected(**stated, runs=("st", "lse-st")),))
    write_table(reproduce(TABLE1, finished.results), stem)
    assert "here:" not in read(stem, suffix)


def markdown_rows(stem):
    lines = [text for text in read(stem, "md").splitlines() if text.startswith("|")]
    return [[cell.strip() for cell in text.strip("|").split("|")] for text in lines]


def test_csv_keeps_full_precision(finished, stem):
    table = reproduce(TABLE1, finished.results).frame
    again = pd.read_csv(f"{stem}.csv", keep_default_na=False, na_values={"value": ""})
    assert again["value"].equals(table["value"])
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
    assert rows["PGD-AT"][7] == "11.00 [7.0, 16.0]"
    assert rows["PGD-AT"][-1] == "3"
    assert rows["st model"][9] == "96.00† [92.0, 100.0]"
    assert rows["st model"][10:13] == ["5.00 [1.0, 10.0]", "99.00† [95.0, 100.0]", "100.00† [96.0, 100.0]"]
    assert rows["CAAT"][4:] == ["11.66", "22.00", "22.05", *["–"] * 6, "not run at this scale"]


def test_the_labels_of_a_row_are_those_of_its_table(finished):
    stem = finished.reports / "t"
    write_table(reproduce(TABLE3, finished.results), stem)
    header, _, *rows = markdown_rows(stem)
    assert header[:3] == ["Method", "β", "Published, CIFAR10: Clean"]
    assert [row[:5] for row in rows[:2]] == [
        ["NPDA", "0.5", "6.04", "47.90", "47.94"],
        ["NPDA", "1", "6.20", "42.50", "42.53"],
    ]
    write_table(reproduce(TABLE2, finished.results), stem)
    assert "- Hidden size as printed" in read(stem, "md")


def test_rows_of_ones_own_stand_alone_and_blocks_are_ruled(finished):
    finished.add("mine", {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)})
    listed = {"mine": "mine", "st": "Table 1", "pgd-at": "Table 1"}
    rows = [Row(run, run, {"name": run, "listed": where}) for run, where in listed.items()]
    spec = TableSpec("T", {"name": "Run", "listed": "Listed in"}, COLUMNS, rows=rows, block="listed")
    stem = finished.reports / "t"
    write_table(reproduce(spec, finished.results), stem)
    header, _, mine, *paper = markdown_rows(stem)
    assert not any("Published" in column for column in header)
    assert mine[:3] == ["mine", "mine", "2.00 [0.0, 7.0]"]
    assert [row[:2] for row in paper] == [["st", "Table 1"], ["pgd-at", "Table 1"]]
    assert read(stem, "html").count('class="rule"') == 1
    before, after = read(stem, "tex").split("\\midrule\n")[1:]
    assert before.startswith("mine")
    assert after.startswith("st")


def test_what_is_lacking_stands_at_the_end_of_its_row(finished):
    for run, state in (("st-s0", "diverged"), ("pgd-at-s1", "failed")):
        folder = finished.layout.run(f"digits-{run}-0a1b2c3d")
        shutil.rmtree(folder)
        write_json(folder / "failure.json", {"verb": "train", "state": state, "message": "!"})
    finished.evaluation("digits-npda-pgd-s0-0a1b2c3d", "pixel-space", "autoattack").unlink()
    stem = finished.reports / "t"
    write_table(reproduce(TABLE1, finished.results), stem)
    rows = {row[0]: row for row in markdown_rows(stem)}
    assert rows["st model"][7:] == [*["–"] * 6, "diverged"]
    assert rows["PGD-AT"][-1] == "2; 1 failed"
    assert rows["NPDA + PGD-AT"][-2:] == ["–", "1; autoattack not made yet"]
    notes = read(stem, "md")
    assert "- –: diverged; the training ended in numbers that are not finite." in notes
    assert "- –: failed; it was tried and stopped" in notes
    assert "- –: not made yet; `snakemake` makes it." in notes
    assert "damaged" not in notes


def test_accuracies_as_fractions_have_more_digits_and_say_which_way_is_better(finished):
    columns = [
        Column("clean", "Clean", "clean", metric="accuracy", unit="fraction"),
        Column("pgd", "PGD", "pgd", metric="accuracy", unit="fraction"),
        Derived("gap", "Gap", {"clean": 1, "pgd": -1}, metric="accuracy", unit="fraction"),
    ]
    spec = TableSpec("T", {"name": "Run"}, columns, rows=[Row("1", "npda-pgd", {"name": "ours"})])
    stem = finished.reports / "t"
    write_table(reproduce(spec, finished.results), stem)
    header, _, row = markdown_rows(stem)
    assert header[3] == "Reproduced, normalised space: Gap (n = 400)"
    assert row[1:4] == ["0.9400 [0.890, 0.980]", "0.6000 [0.550, 0.640]", "0.3400 [0.250, 0.430]"]
    text = read(stem, "md")
    assert "### T: accuracies as fractions (higher is better), reproduced on digits" in text
    assert "an interval as wide as theirs together" in text


def test_columns_of_one_attack_are_told_apart_by_their_headings(finished):
    columns = [
        Column("near", "PGD, near", "pgd"),
        Column("far", "PGD, far", "pgd"),
        Column("clean", "-", "clean"),
    ]
    source = Source("both", "paper-space", {"far": "pixel-space"})
    rows = [Row("1", "st", {"name": "st"})]
    spec = TableSpec("T", {"name": "Run"}, columns, rows=rows, sources=[source])
    stem = finished.reports / "t"
    write_table(reproduce(spec, finished.results), stem)
    header = [text.split(": ")[-1] for text in markdown_rows(stem)[0]]
    assert header[1:4] == ["PGD, near (n = 400)", "PGD, far (n = 400)", "clean (n = 400)"]
    text = read(stem, "md")
    assert "- Normalised space (suite paper-space): " in text
    assert "- Pixel space (suite pixel-space): " in text


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
    write_table(reproduce(TABLE1, finished.results), stem)
    header = markdown_rows(stem)[0]
    assert header[7].startswith("Reproduced, pixel space (paper-space): ")
    assert header[10].startswith("Reproduced, pixel space (pixel-space): ")
