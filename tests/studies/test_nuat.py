"""What is NuAT's own: printed numbers, claims, the detector of overfitting, costs and hybrids."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import robustfront
from robustfront.reporting.claims.language import load_claims
from robustfront.reporting.published import read_published, read_rows
from robustfront.studies.nuat.cost import two_step_epochs
from robustfront.studies.nuat.hybrids import hybrids
from robustfront.studies.nuat.norms import figure2, figure3a
from robustfront.studies.nuat.overfitting import ONE_STEP, SEVERAL, onset, overfitting

FOLDER = Path(robustfront.__file__).parent / "studies" / "nuat"


# --------------------------------------------------------------------------------------- printed numbers
@pytest.mark.parametrize(
    ("table", "rows", "numbers"), [("table1a", 14, 70), ("table1b", 14, 56), ("table2", 11, 132)]
)
def test_every_row_is_there(table, rows, numbers) -> None:
    printed = read_published(FOLDER / "published" / f"{table}.csv")
    assert len(printed) == numbers
    named = read_rows(FOLDER / "rows.yaml")[table]
    assert [row.row for row in named] == [str(position) for position in range(1, rows + 1)]
    runs = printed.drop_duplicates("row").set_index("row")["run"].to_dict()
    assert runs == {row.row: row.run for row in named}


@pytest.mark.parametrize(
    ("table", "run", "dataset", "values"),
    [
        ("table1a", "nuat", "CIFAR10", [81.01, 53.30, 52.97, 49.46, 49.24]),
        ("table1a", "trades-wa", "CIFAR10", [80.19, 52.98, 52.88, 49.49, 49.39]),
        ("table1b", "wrn-nuat-wa-h80", "CIFAR10", [85.40, 58.25, 55.35, 54.96]),
        ("table1b", "wrn-nuat2-wa", "CIFAR10", [86.32, 57.74, 55.08, 54.76]),
        ("table2", "nuat", "MNIST", [99.37, 96.24, 94.65, 93.11]),
        ("table2", "pgd-at", "ImageNet-100", [68.62, 36.56, 32.24, 32.98]),
    ],
)
def test_numbers_are_those_printed_in_the_paper(table, run, dataset, values) -> None:
    printed = read_published(FOLDER / "published" / f"{table}.csv")
    assert printed[(printed["run"] == run) & (printed["dataset"] == dataset)]["value"].tolist() == values


def test_claims_name_rows_that_are_printed_in_the_tables_they_name() -> None:
    for claim in load_claims(FOLDER / "claims.yaml"):
        for predicate in claim.predicates:
            known = {*read_published(FOLDER / "published" / f"{predicate.table}.csv")["run"]}
            named = predicate.runs if predicate.kind == "unmasked" else predicate.of + predicate.minus
            assert {*named} <= known, claim.id


# ------------------------------------------------------------------------------ catastrophic overfitting
def history(one_step, several) -> pd.DataFrame:
    rows = {"epoch": range(len(one_step)), ONE_STEP: one_step, SEVERAL: several}
    return pd.DataFrame(rows)


def test_a_collapse_sets_in_where_one_step_stays_and_several_fall() -> None:
    assert onset(history([0.1, 0.4, 0.5, 0.8, 0.9], [0.1, 0.35, 0.42, 0.15, 0.0])) == 3


def test_no_collapse_where_both_fall_or_the_gap_stays_small_or_only_opens() -> None:
    assert onset(history([0.1, 0.5, 0.1, 0.1], [0.1, 0.4, 0.05, 0.05])) is None
    assert onset(history([0.1, 0.5, 0.5, 0.55], [0.1, 0.4, 0.41, 0.42])) is None
    assert onset(history([0.1, 0.4, 0.6, 0.7], [0.1, 0.2, 0.3, 0.35])) is None


def test_epochs_that_were_not_judged_are_passed_over_and_none_is_no_onset() -> None:
    nothing = float("nan")
    assert onset(history([0.1, 0.5, nothing, 0.9], [0.1, 0.4, nothing, 0.0])) == 3
    assert onset(pd.DataFrame({"epoch": [0, 1]})) is None


# ------------------------------------------------------------------------------------ figures of records
class Stub:
    """What figures ask of results."""

    label, seeds = "a test", [0]
    datasets = {"d": None}  # noqa: RUF012

    def __init__(self, histories=(), analysed=()) -> None:
        self.histories, self.items = dict(histories), list(analysed)

    def find(self, name, dataset_id):
        return [SimpleNamespace(id=name, names=[name])] if name in self.histories else []

    def history(self, run_id):
        return self.histories[run_id]

    def analysed(self, kind):
        return self.items

    def not_analysed(self, kind):
        return {}


def test_a_panel_tells_since_when_it_overfits() -> None:
    figure = overfitting(
        Stub(
            {
                "fgsm-at": history([0.1, 0.5, 0.9], [0.1, 0.4, 0.0]),
                "nuat": history([0.1, 0.5, 0.6], [0.1, 0.4, 0.5]),
            }
        )
    )
    assert [axes.get_title() for axes in figure.axes] == ["fgsm-at: from epoch 2", "nuat"]


def test_epochs_that_were_not_judged_leave_no_gap_in_the_lines() -> None:
    nothing = float("nan")
    figure = overfitting(
        Stub({"nuat": history([0.1, nothing, 0.5, nothing, 0.6], [0.1, nothing, 0.4, nothing, 0.5])})
    )
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert [*lines["FGSM"].get_xdata()] == [0, 2, 4]
    assert [*lines["PGD-20"].get_ydata()] == [10, 40, 50]


def test_a_hybrid_that_never_took_its_second_step_is_called_nuat() -> None:
    never = pd.DataFrame({"epoch": [0, 1, 2], "two_step_share": [np.nan, 0.0, 0.0]})
    often = pd.DataFrame({"epoch": [0, 1, 2, 3], "two_step_share": [np.nan, 0.0, 0.6, 0.5]})
    figure = hybrids(Stub({"wrn-nuat-h": never, "wrn-nuat-wa-h60": often}))
    first, second = (axes.get_title() for axes in figure.axes)
    assert "this is NuAT, 2 epochs" in first
    assert "3 + 2 epochs" in second
    assert two_step_epochs(often) == pytest.approx(1.1)
    assert two_step_epochs(pd.DataFrame({"epoch": [1]})) is None


def record(arrays, facts):
    return SimpleNamespace(title="a run", record=SimpleNamespace(facts=facts), array=arrays.__getitem__)


def test_figure2_tells_entropies_in_both_units() -> None:
    confusion = np.array([[6, 4], [1, 9]])
    facts = {"entropy": np.log(2), "accuracy": 0.75, "nuclear": 3.0, "frobenius": 2.0, "rank": 1.5}
    arrays = {"sizes": np.array([10, 10]), "nuclear.confusion": confusion, "frobenius.confusion": confusion}
    figure = figure2(Stub(analysed=[record(arrays, {"nuclear": facts, "frobenius": facts})]))
    titles = [axes.get_title() for axes in figure.axes]
    assert "entropy 0.69 nats = 1.00 bits (printed 0.87), diagonal 75.0 %" in titles[0]
    assert "(printed 0.97)" in titles[1]
    assert [text.get_text() for text in figure.axes[0].texts] == ["60", "40", "10", "90"]


def test_figure3a_says_where_there_is_no_full_batch() -> None:
    arrays = {"robust": np.array([1.0, 2.0]), "fallen": np.array([])}
    facts = {"robust": {"images": 130}, "fallen": {"images": 7}}
    figure = figure3a(Stub(analysed=[record(arrays, facts)]))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["no full\nbatch"]
    assert axes.get_xticklabels()[0].get_text() == "a run\n130 | 7"
