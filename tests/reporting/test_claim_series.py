import numpy as np
import pytest
from test_claims import ERRORS, verdict

from finished_study import NPAT
from robustfront.errors import ConfigError
from robustfront.reporting.claims.conditions import NotRun, clauses
from robustfront.reporting.claims.evidence import InPrint
from robustfront.reporting.claims.language import Fluctuation, Saturation, Spread, Trend
from robustfront.reporting.published import read_published, read_rows

BETA = {"table": "table3", "rows": {"method": "NPDA"}, "along": "beta", "error": "autoattack"}
HIDDEN = {
    "table": "table2",
    "rows": {"method": "NPGD"},
    "along": "hidden",
    "log": True,
    "error": "autoattack",
}


@pytest.fixture(autouse=True)
def own_data(empty_project):
    """Digits are the paper's own data set, with nothing done otherwise."""
    empty_project.studied(NPAT, same={"CIFAR10": ("digits",)})


def rows_of(series):
    return read_rows(NPAT / "rows.yaml")[series["table"]]


def printed(series):
    """x and AutoAttack error of the series, on CIFAR10."""
    numbers = read_published(NPAT / "published" / f"{series['table']}.csv")
    here = numbers[(numbers["dataset"] == "CIFAR10") & (numbers["attack"] == "AutoAttack")]
    errors = here.set_index("row")["value"]
    meant = [row for row in rows_of(series) if row.labels["method"] == series["rows"]["method"]]
    x = np.array([float(row.labels[series["along"]]) for row in meant])
    return x, np.array([errors[row.row] for row in meant])


@pytest.fixture
def values(empty_project):
    """The printed values of a predicate's conditions, on CIFAR10."""
    paper = InPrint(empty_project.results, "CIFAR10")

    def of(predicate):
        rows = empty_project.results.rows(predicate.table)
        found = clauses(predicate, "CIFAR10", rows, paper.available(predicate.table))
        return [[paper.estimate(condition, 0.95).value for condition in clause] for clause in found]

    return of


@pytest.mark.parametrize("series", [BETA, HIDDEN])
def test_a_trend_is_the_change_along_the_line_of_best_fit(series, values):
    x, errors = printed(series)
    x = np.log2(x) if series["along"] == "hidden" else x
    slope = np.polyfit(x, errors, 1)[0]
    ((value,),) = values(Trend(kind="trend", at_most=0, **series))
    assert value == pytest.approx(slope * (x[-1] - x[0]))


def test_saturation_compares_slopes_before_and_after_the_knee(values):
    x, errors = printed(BETA)
    at = dict(zip(x, errors, strict=True))
    ((value,),) = values(Saturation(kind="saturation", knee=1.5, **BETA))
    assert value == pytest.approx((at[1.5] - at[0.5]) / 1.0 - (at[5.0] - at[1.5]) / 3.5)


def test_spread_compares_every_pair_both_ways(values):
    _, errors = printed(HIDDEN)
    found = values(Spread(kind="spread", at_most=1, **HIDDEN))
    assert len(found) == 6
    assert max(abs(value) for (value,) in found) == pytest.approx(errors.max() - errors.min())


def test_fluctuation_needs_a_rise_and_a_fall(values):
    _, errors = printed(HIDDEN)
    rises, falls = values(Fluctuation(kind="fluctuation", **HIDDEN))
    assert rises == falls == pytest.approx(np.diff(errors))


def test_a_series_goes_on_without_runs_in_its_middle_but_not_without_its_ends():
    trend = Trend(kind="trend", at_most=0, **BETA)
    ends = {"npda-beta-0.5", "npda-beta-5"}
    rows = rows_of(BETA)
    ((two,),) = clauses(trend, "CIFAR10", rows, ends)
    assert dict(two.weights) == pytest.approx({"npda-beta-0.5": -1.0, "npda-beta-5": 1.0})
    ((three,),) = clauses(trend, "CIFAR10", rows, ends | {"npda-pgd"})
    assert set(three.weights) == ends | {"npda-pgd"}
    assert clauses(trend, "CIFAR10", rows, {"npda-beta-5"}) == [(NotRun(("npda-beta-0.5",)),)]
    saturation = Saturation(kind="saturation", knee=1.5, **BETA)
    assert clauses(saturation, "CIFAR10", rows, ends) == [(NotRun(("npda-pgd",)),)]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (BETA | {"rows": {"method": "XYZ"}}, "needs two rows at least: 0 of table3 are method: XYZ"),
        (BETA | {"rows": {"method": "NPDA", "beta": "5"}}, "1 of table3 are method: NPDA, beta: 5"),
        (BETA | {"along": "method"}, "row 10 of table3 has no number in the label 'method'"),
        (BETA | {"along": "gamma"}, "row 10 of table3 has no number in the label 'gamma'"),
    ],
)
def test_a_series_that_no_rows_are_meant_by_is_named(series, message):
    with pytest.raises(ConfigError, match=message):
        clauses(Trend(kind="trend", at_most=0, **series), "CIFAR10", rows_of(BETA), ())


def test_a_knee_that_no_row_has_is_named():
    saturation = Saturation(kind="saturation", knee=1.7, **BETA)
    with pytest.raises(ConfigError, match=r"no row of table3 has beta = 1\.7"):
        clauses(saturation, "CIFAR10", rows_of(BETA), ())


@pytest.fixture
def add(empty_project):
    """Adds a run whose AutoAttack error is that many of 400 images, everywhere."""

    def add_run(name, errors):
        empty_project.add(name, dict.fromkeys(ERRORS, (20, errors, errors)))

    return add_run


@pytest.mark.parametrize(
    ("errors", "expected"), [((200, 150, 120), "reproduced"), ((120, 122, 160), "not reproduced")]
)
def test_robustness_against_beta(empty_project, add, errors, expected):
    for name, wrong in zip(("npda-beta-0.5", "npda-pgd", "npda-beta-5"), errors, strict=True):
        add(name, wrong)
    line = verdict(empty_project, {"kind": "trend", "at_most": 0} | BETA)
    assert line["verdict"] == expected
    assert line["condition"] == "NPDA, fitted change along beta from 0.5 to 5 (3 runs)"


@pytest.mark.parametrize(
    ("errors", "expected"),
    [((200, 140, 120), "reproduced"), ((200, 190, 80), "not reproduced"), ((200, 178, 100), "undecided")],
)
def test_saturation_against_beta(empty_project, add, errors, expected):
    for name, wrong in zip(("npda-beta-0.5", "npda-pgd", "npda-beta-5"), errors, strict=True):
        add(name, wrong)
    line = verdict(empty_project, {"kind": "saturation", "knee": 1.5} | BETA)
    assert line["verdict"].startswith(expected)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ((100, 200, 150), "reproduced"),
        ((200, 150, 100), "not reproduced"),  # it falls at every step
        ((150, 152, 100), "undecided"),  # it falls, and may rise or not
        (
            (150, 156, 100),
            "undecided",
        ),  # the rise alone is beyond chance at 95 %, as one of two steps it is not
        ((150, 158, 100), "reproduced"),
    ],
)
def test_fluctuation_with_hidden_size(empty_project, add, errors, expected):
    for name, wrong in zip(("npgd-pgd", "npgd-hidden-2x", "npgd-hidden-8x"), errors, strict=True):
        add(name, wrong)
    line = verdict(empty_project, {"kind": "fluctuation"} | HIDDEN)
    assert line["verdict"].startswith(expected)
