"""CA-AT's study: what is printed, what it is read as, and its page before there are results."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import robustfront
from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import load_claims
from robustfront.reporting.fronts import undominated
from robustfront.reporting.published import read_published, read_rows, refuted_in_print
from robustfront.reporting.results import Results
from robustfront.reporting.tables import reproduce
from robustfront.studies.ca_at import tables
from robustfront.studies.ca_at.report import SECTIONS

FOLDER = Path(robustfront.__file__).parent / "studies" / "ca_at"
PARAMS = Path(robustfront.__file__).parents[2] / "params.yaml"
RADII = ("table1-8", "table1-16", "table1-24", "table1-32")


def published(name: str) -> pd.DataFrame:
    return read_published(FOLDER / "published" / f"{name}.csv")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of the scale `digits`, before anything was made."""
    plan = load_plan(PARAMS, "digits", ["ca-at"]).studies["ca-at"]
    return Results(plan, Layout(tmp_path_factory.mktemp("nothing")))


def test_all_printed_numbers_are_there() -> None:
    counts = {table: len(published(table)) for table in RADII}
    assert counts == {"table1-8": 28, "table1-16": 24, "table1-24": 24, "table1-32": 24}
    assert [len(published(f"table3-{eps}")) for eps in ("0.5", "1", "1.5", "2")] == [12] * 4
    assert (len(published("table2")), len(published("table4"))) == (52, 20)


@pytest.mark.parametrize(
    ("table", "run", "attack", "value"),
    [
        ("table1-8", "ca-0.8", "PGD", 0.7442),
        ("table1-16", "vanilla-0.5", "FAB", 0.78),
        ("table1-32", "vanilla-r34-0.5", "FGSM", 0.088),
        ("table2", "ca-dlr-0.9", "AutoAttack", 0.2992),
        ("table3-1", "ca-r34-0.8", "T-AutoPGD-L2", 0.2571),
        ("table4", "vanilla-0", "Square", 0.703),
    ],
)
def test_numbers_are_those_printed_in_the_paper(table: str, run: str, attack: str, value: float) -> None:
    found = published(table)
    assert found[(found["run"] == run) & (found["attack"] == attack)]["value"].tolist() == [value]


def test_the_printed_mean_of_table_2_is_that_of_the_eleven_attacks(results: Results) -> None:
    table = published("table2")
    for _, row in table.groupby("row"):
        mean = row[row["metric"] == "robust_accuracy"]["value"].mean()
        assert row[row["metric"] == "mean_robust_accuracy"]["value"].item() == pytest.approx(mean, abs=6e-5)
    assert {column.heading for column in tables.TABLE2.columns} >= {"AutoAttack", "Adversarial mean"}


def test_the_copied_column_is_that_of_table_3() -> None:
    copied = [
        published(t).query("run == 'vanilla-r34-0.5' and attack == 'FGSM'")["value"].item() for t in RADII
    ]
    source = [
        published(f"table3-{eps}").query("run == 'vanilla-0.5' and attack == 'T-AutoPGD-L2'")["value"].item()
        for eps in ("0.5", "1", "1.5", "2")
    ]
    assert copied == source
    assert all(tables.COPIED in spec.notes for spec in tables.TABLE1.values())


def test_print_itself_refutes_pgd_by_autoattack() -> None:
    table = published("table2")
    refuted = refuted_in_print(table)
    of_pgd = table[(table["attack"] == "PGD") & (table["run"] == "ca-0.8")].index[0]
    assert "AutoAttack fells 39.2 points more than PGD" in refuted[of_pgd]


def test_every_row_is_a_run_of_the_paper_scale() -> None:
    plan = load_plan(PARAMS, "paper", ["ca-at"]).studies["ca-at"]
    names = {name for run in plan.runs.values() for name in run.names}
    rows = [row for found in read_rows(FOLDER / "rows.yaml").values() for row in found]
    assert {row.run for row in rows} - names == {"vanilla-wide", "ca-wide"}, "which are of digits"


def test_claims_hold_in_print_as_the_paper_has_them(results: Results) -> None:
    """T-FAB at 24 and 32 contradicts what the text says of all attacks but FAB."""
    frame = judge(load_claims(FOLDER / "claims.yaml"), results)
    printed = frame[frame["source"] == "published"].set_index("claim")["verdict"]
    assert Counter(printed) == {"holds": 12, "contradicted": 2, "no numbers": 6}
    assert set(printed[printed == "contradicted"].index) == {"better-at-24", "better-at-32"}
    assert set(frame["source"]) == {"published", "faithful", "corrected"}


def test_both_suites_attack_the_same_images_in_the_same_balls(results: Results) -> None:
    for name, faithful in results.suites.items():
        if name.startswith("faithful"):
            corrected = results.suites[name.replace("faithful", "corrected")]
            assert (faithful.threat, faithful.runs) == (corrected.threat, corrected.runs)
            assert [*corrected.attacks][: len(faithful.attacks)] == [*faithful.attacks] or set(
                faithful.attacks
            ) <= set(corrected.attacks)


def test_a_study_without_results_has_all_its_sections(results: Results, tmp_path: Path) -> None:
    for section in SECTIONS:
        if section.anchor in ("figure1", "figure3a", "figure3b", "figure8", "square", "table1-16", "claims"):
            (tmp_path / section.folder).mkdir(exist_ok=True)
            section.make(results, tmp_path)
            assert all((tmp_path / name).is_file() for name in section.files)


def test_tables_show_both_suites_beside_print(results: Results) -> None:
    frame = reproduce(tables.TABLE1["16"], results).frame
    assert list(frame["source"].unique()) == ["published", "faithful", "corrected"]
    assert set(frame[frame["source"] == "corrected"]["suite"]) == {"corrected-x2"}
    l2 = reproduce(tables.TABLE2, results).frame.query("source == 'faithful' and column == 'pgd-l2'")
    assert set(l2["suite"]) == {"faithful-l2"}


def test_undominated_points_are_those_that_no_other_beats() -> None:
    points = [(1.0, 5.0), (2.0, 4.0), (2.0, 3.0), (1.5, 4.0), (3.0, 1.0), (0.5, 5.0)]
    assert undominated(points) == [(1.0, 5.0), (2.0, 4.0), (3.0, 1.0)]
