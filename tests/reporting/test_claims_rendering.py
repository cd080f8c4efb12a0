import re

import pandas as pd
import pytest

from finished_study import NPAT
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import load_claims
from robustfront.reporting.claims.rendering import write_claims

CLAIMS = load_claims(NPAT / "claims.yaml")


@pytest.fixture
def table(finished):
    return judge(CLAIMS, finished.results)


@pytest.fixture
def stem(finished, table):
    path = finished.reports / "tables" / "claims"
    write_claims(table, path, "A paper: claims")
    return path


def read(stem, suffix):
    return stem.with_name(f"{stem.name}.{suffix}").read_text(encoding="utf-8")


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_csv_has_a_line_per_claim_data_set_and_source(table, stem):
    again = pd.read_csv(f"{stem}.csv")
    assert again["claim"].tolist() == table["claim"].tolist()
    pairs = sum(len(claim.datasets or (1, 2)) for claim in CLAIMS)
    assert len(again) == 3 * pairs
    assert set(again["suite"]) == {"published", "paper-space", "pixel-space"}


def test_markdown_has_a_row_per_claim_and_data_set_with_a_verdict_per_source(stem):
    header, _, *rows = rows_of(read(stem, "md"))
    assert header == ["Claim", "Where", "Data", "In print", "Here, paper-space", "Here, pixel-space"]
    assert len(rows) == sum(len(claim.datasets or (1, 2)) for claim in CLAIMS)
    assert {len(row) for row in rows} == {6}
    near = next(row for row in rows if "at most 1.35 points" in row[0] and row[2] == "CIFAR10 → digits")
    assert near[3] == "holds (+1.35, at most 1.35)"
    assert near[4].startswith("undecided")


def test_markdown_says_how_each_claim_was_judged(stem):
    text = read(stem, "md")
    assert text.startswith("### A paper: claims\n")
    assert "- `svhn-gap`: Read as points" in text
    assert (
        "  - SVHN, In print, contradicted: npgd-pgd − pgd-at, autoattack: +9.57 points; between 35.825"
        in text
    )
    assert (
        "  - SVHN, Here, paper-space, undecided at this scale: no data set of this scale stands for" in text
    )
    assert re.search(r"- In print: \d+ holds, 7 contradicted, 1 no numbers", text)
    assert re.search(r"- Here, paper-space: .*, \d+ on SVHN, which this scale has no data set for\n", text)


def test_latex_is_balanced_ascii_and_has_equal_rows(stem):
    text = read(stem, "tex")
    assert text.isascii()
    body = text.split("\\endhead\n")[1].split("\\bottomrule")[0].strip().splitlines()
    rows = [line for line in body if line != r"\addlinespace"]
    assert {len(re.split(r"(?<!\\)&", line)) for line in rows} == {6}
    assert not re.search(r"(?<!\\)[#_%]", "\n".join(body).replace("$L_\\infty$", ""))
    assert text.replace("\\{", "").count("{") == text.replace("\\}", "").count("}")
    assert text.count("\\begin{longtable}") == text.count("\\end{longtable}") == 1


@pytest.mark.parametrize("suffix", ["md", "tex", "html", "csv"])
def test_every_format_says_that_the_scale_is_not_comparable(stem, suffix):
    assert "igits scale: not comparable in value" in read(stem, suffix)


def test_html_marks_verdicts_in_words_and_colours(stem):
    text = read(stem, "html")
    assert '<span class="failed">contradicted</span>' in text
    assert '<span class="passed">holds</span>' in text
    assert '<span class="quiet">undecided at this scale</span>' in text  # SVHN, for which nothing stands
    assert '<span class="quiet">undecided</span>' in text
    assert text.count("<details>") == text.count('<th scope="rowgroup"') == len(CLAIMS)
    on_svhn = sum("SVHN" in (claim.datasets or ["SVHN"]) for claim in CLAIMS)
    assert text.count('colspan="2" data-source="Here"') == on_svhn
    assert "CIFAR10 → digits: numbers of the paper on CIFAR10, beside models trained here on digits" in text
