import dataclasses
import re
import shutil
from typing import Any

import numpy as np
import pytest

from robustfront.artefacts import read_json, write_json
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import Suite
from robustfront.config.schema import Threat
from robustfront.reporting.cells import SUMMED
from robustfront.reporting.columns import Column, Derived, Printed, errors, mean_of
from robustfront.reporting.published import COLUMNS, Row
from robustfront.reporting.tables import Source, TableSpec, reproduce

PGD = PGDEvaluation(steps=20, step_size=0.01)
SPEC = TableSpec(
    "A table",
    {"method": "Method"},
    errors(("clean", "Clean", "none"), ("pgd", "PGD", "PGD"), ("autoattack", "AA", "AutoAttack")),
    published="table1",
)
BOTH = {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)}


def line(table, run, source, column):
    frame = table.frame
    found = frame[(frame["run"] == run) & (frame["source"] == source) & (frame["column"] == column)]
    (only,) = found.to_dict("records")
    return only


@pytest.fixture
def table(finished):
    return reproduce(SPEC, finished.results)


def test_one_seed_gives_its_error_in_percent_with_the_interval_of_the_artefact(table):
    found = line(table, "npda-pgd", "pixel-space", "autoattack")
    assert found["value"] == pytest.approx(62.5)  # 250 of 400
    assert (found["low"], found["high"]) == pytest.approx((58.5, 67.5))
    assert (found["interval"], found["seeds"], found["n"]) == ("Wilson 95 %", 1, 400)
    assert (found["metric"], found["unit"], found["attack"]) == ("error", "percent", "autoattack")


def test_several_seeds_that_differ_give_mean_and_student_interval_over_seeds(empty_project):
    for seed, wrong in enumerate([40, 60, 80]):
        empty_project.add("pgd-at", dict.fromkeys(BOTH, (wrong, 100, 100)), seed=seed)
    found = line(reproduce(SPEC, empty_project.results), "pgd-at", "paper-space", "clean")
    half_width = 4.302653 * 5.0 / 3**0.5  # t(0.975, 2) s / sqrt(n) of 10, 15, 20
    assert found["value"] == pytest.approx(15.0)
    assert found["low"] == pytest.approx(15.0 - half_width, abs=1e-5)
    assert found["high"] == pytest.approx(15.0 + half_width, abs=1e-5)
    assert (found["interval"], found["seeds"]) == ("t 95 % over 3 seeds or Wilson 95 %, the wider", 3)


def test_seeds_that_agree_are_no_surer_than_their_images(empty_project):
    for seed in range(3):
        empty_project.add("pgd-at", dict.fromkeys(BOTH, (120, 200, 200)), seed=seed)
    found = line(reproduce(SPEC, empty_project.results), "pgd-at", "paper-space", "clean")
    alone = (30.0, 26.0, 35.0)  # the interval in each record
    assert (found["value"], found["low"], found["high"]) == pytest.approx(alone)


def test_each_end_of_an_interval_over_seeds_is_the_wider_one(table):
    found = line(table, "pgd-at", "paper-space", "clean")  # 10, 11, 12: Student's half width is 2.5
    assert (found["value"], found["low"], found["high"]) == pytest.approx((11.0, 7.0, 16.0))


def test_published_numbers_of_the_named_data_set_stand_in_every_row(table):
    published = table.frame[table.frame["source"] == "published"]
    assert len(published) == 45
    found = line(table, "caat", "published", "pgd")
    assert (found["value"], found["attack"], found["threat"]) == (22.00, "PGD", "8/255, they say")
    assert set(published["published_as"]) == {"CIFAR10"}


def test_rows_that_did_not_run_are_kept_and_say_so(table):
    found = line(table, "caat", "pixel-space", "autoattack")
    assert found["status"] == "not run at this scale"
    assert np.isnan(found["value"])
    assert table.frame["row"].nunique() == 15


def test_each_suite_is_labelled_with_its_space_and_threat(table):
    spaces = table.frame.drop_duplicates("source").set_index("source")["space"]
    assert spaces.to_dict() == {"published": "", "paper-space": "normalised", "pixel-space": "pixel"}
    assert "ε = 8/255" in line(table, "st", "pixel-space", "pgd")["threat"]


def test_every_line_has_the_label_of_the_results(table):
    assert set(table.frame["scale"]) == {"digits scale: not comparable in value"}


# ------------------------------------------------------------------------------------------- masking
def test_a_failed_masking_check_marks_that_model_in_all_suites(table):
    assert line(table, "st", "pixel-space", "pgd")["masking"] == "failed"
    assert line(table, "st", "paper-space", "pgd")["masking"] == "failed"
    assert line(table, "pgd-at", "pixel-space", "pgd")["masking"] == "passed"


def test_one_unchecked_seed_means_not_checked(finished):
    path = finished.evaluation("digits-pgd-at-s1-0a1b2c3d", "pixel-space", "masking")
    for change in (lambda: write_json(path, read_json(path) | {"masking": [], "checksums": {}}), path.unlink):
        change()
        table = reproduce(SPEC, finished.results)
        assert line(table, "pgd-at", "pixel-space", "pgd")["masking"] == "not checked"
        assert line(table, "st", "pixel-space", "pgd")["masking"] == "failed"
        assert line(table, "npda-pgd", "pixel-space", "pgd")["masking"] == "passed"


# -------------------------------------------------------------------------------------------- states
@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_run_that_failed_is_a_state_of_its_row(finished, state):
    folder = finished.layout.run("digits-st-s0-0a1b2c3d")
    shutil.rmtree(folder)
    write_json(folder / "failure.json", {"verb": "train", "state": state, "message": "!"})
    table = reproduce(SPEC, finished.results)
    assert line(table, "st", "pixel-space", "pgd")["status"] == state
    assert line(table, "npda-pgd", "pixel-space", "pgd")["status"] == "reproduced"


def test_a_missing_evaluation_is_a_state_of_its_cell(finished):
    finished.evaluation("digits-st-s0-0a1b2c3d", "pixel-space", "pgd-20").unlink()
    finished.evaluation("digits-st-s0-0a1b2c3d", "pixel-space", "autoattack").write_text("{")
    table = reproduce(SPEC, finished.results)
    found = {
        name: line(table, "st", "pixel-space", name)["status"] for name in ("clean", "pgd", "autoattack")
    }
    assert found == {"clean": "reproduced", "pgd": "not made yet", "autoattack": "damaged"}


def test_a_seed_that_is_lacking_is_told_and_the_others_are_averaged(finished):
    folder = finished.layout.run("digits-pgd-at-s1-0a1b2c3d")
    shutil.rmtree(folder)
    write_json(folder / "failure.json", {"verb": "train", "state": "diverged", "message": "!"})
    found = line(reproduce(SPEC, finished.results), "pgd-at", "paper-space", "clean")
    assert (found["status"], found["seeds"], found["lacking"]) == ("reproduced", 2, "1 diverged")
    assert found["value"] == pytest.approx(11.0)  # of 10 and 12
    assert found["masking"] == "passed"


# ------------------------------------------------------------------------------------ rows and columns
def test_columns_follow_the_kind_of_attack_not_its_name(empty_project):
    attacks = {
        "weak": PGDEvaluation(steps=1, step_size=0.1),
        "strong": PGDEvaluation(steps=99, step_size=0.1),
    }
    empty_project.attacked(Suite(name="s", threat=Threat(eps=0.1), attacks=attacks))
    empty_project.add("st", {"s": (4, 8, 12)})
    table = reproduce(SPEC, empty_project.results)
    found = line(table, "st", "s", "pgd")
    assert (found["attack"], found["value"]) == ("weak", pytest.approx(2.0))
    assert "autoattack" not in set(table.frame.loc[table.frame["source"] == "s", "column"])


def test_a_data_set_without_published_numbers_shows_the_reproduced_ones_alone(finished):
    finished.studied(finished.plan.study.folder, datasets={})
    sources = set(reproduce(SPEC, finished.results).frame["source"])
    assert sources == {"paper-space", "pixel-space"}


def test_rows_may_be_given_and_need_no_run(finished):
    rows = [Row("1", "npda-pgd", {"method": "ours"}), Row("2", "", {"method": "theirs"})]
    spec = dataclasses.replace(SPEC, published="", rows=rows)
    table = reproduce(spec, finished.results)
    assert table.frame["method"].unique().tolist() == ["ours", "theirs"]
    assert line(table, "", "pixel-space", "clean")["status"] == "not run at this scale"


# --------------------------------------------------------------------------- as other papers print them
def published(project, tmp_path, *lines):
    folder = tmp_path / "mine"
    (folder / "published").mkdir(parents=True)
    (folder / "published" / "table1.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    project.studied(folder)


@pytest.fixture
def two_norms(empty_project, tmp_path):
    """One run, accuracies as fractions, two attacks in two norms and their mean; one is not printed."""
    suites = [
        Suite(name="linf", threat=Threat(eps=8 / 255), attacks={"pgd": PGD}),
        Suite(name="l2", threat=Threat(norm="l2", eps=0.5), attacks={"pgd-l2": PGD}),
    ]
    empty_project.attacked(*suites)
    empty_project.add("st", {"linf": (40, 100), "l2": (40, 60)}, masked="l2")
    published(
        empty_project,
        tmp_path,
        "1,1,st,CIFAR10,clean_accuracy,none,,92,percent",
        "1,1,st,CIFAR10,robust_accuracy,PGD,8/255,0.4,fraction",
        "1,1,st,CIFAR10,robust_accuracy,PGD,16/255,0.2,fraction",
        "1,2,,CIFAR10,robust_accuracy,PGD,8/255,0.5,fraction",
    )
    return empty_project


def accuracy(key, heading, printed=None):
    return Column(key, heading, key, metric="accuracy", unit="fraction", printed=printed)


NORMS = TableSpec(
    "Two norms",
    {"row": "Row"},
    (
        accuracy("clean", "Clean", Printed("clean_accuracy", "none")),
        accuracy("pgd", "PGD", Printed("robust_accuracy", "PGD", "8/255")),
        accuracy("pgd-l2", "PGD-L2"),
        Derived("mean", "Mean", mean_of(["pgd", "pgd-l2"]), metric="accuracy", unit="fraction"),
        Derived("gap", "Gap", {"clean": 1, "pgd": -1}, metric="accuracy", unit="fraction"),
    ),
    published="table1",
    sources=(Source("ours", "linf", {"pgd-l2": "l2"}),),
)


def test_accuracies_are_fractions_whose_interval_is_turned_round(two_norms):
    found = line(reproduce(NORMS, two_norms.results), "st", "ours", "pgd")
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.75, 0.70, 0.79))
    assert (found["metric"], found["unit"]) == ("accuracy", "fraction")


def test_printed_numbers_are_converted_and_told_apart_by_their_radius(two_norms):
    table = reproduce(NORMS, two_norms.results)
    assert line(table, "st", "published", "clean")["value"] == pytest.approx(0.92)
    assert line(table, "st", "published", "pgd")["value"] == 0.4
    assert line(table, "", "published", "pgd")["value"] == 0.5


def test_a_number_that_is_not_printed_is_a_gap_in_print(two_norms):
    frame = reproduce(NORMS, two_norms.results).frame
    assert line(reproduce(NORMS, two_norms.results), "", "published", "clean")["status"] == "not printed"
    columns = frame.loc[frame["source"] == "published", "column"]
    assert set(columns) == {"clean", "pgd"}  # no column of which nothing is printed


def test_one_source_may_take_its_attacks_from_several_suites(two_norms):
    table = reproduce(NORMS, two_norms.results)
    found = line(table, "st", "ours", "pgd-l2")
    assert (found["value"], found["suite"]) == (pytest.approx(0.85), "l2")
    assert found["threat"].startswith("L2")
    assert (found["masking"], line(table, "st", "ours", "pgd")["masking"]) == ("failed", "failed")


def test_a_mean_of_columns_has_an_interval_that_holds_however_they_depend(two_norms):
    table = reproduce(NORMS, two_norms.results)
    parts = [line(table, "st", "ours", name) for name in ("pgd", "pgd-l2")]
    found = line(table, "st", "ours", "mean")
    for key in ("value", "low", "high"):
        assert found[key] == pytest.approx(np.mean([part[key] for part in parts]))
    assert (found["interval"], found["masking"]) == (SUMMED, "failed")


def test_a_difference_subtracts_the_other_end(two_norms):
    table = reproduce(NORMS, two_norms.results)
    clean, pgd, gap = (line(table, "st", "ours", name) for name in ("clean", "pgd", "gap"))
    assert gap["value"] == pytest.approx(clean["value"] - pgd["value"])
    assert gap["low"] == pytest.approx(clean["low"] - pgd["high"])
    assert gap["high"] == pytest.approx(clean["high"] - pgd["low"])


def test_a_derived_column_is_averaged_seed_by_seed(two_norms):
    two_norms.add("st", {"linf": (40, 140), "l2": (40, 60)}, seed=1)
    found = line(reproduce(NORMS, two_norms.results), "st", "ours", "mean")
    values = [(0.75 + 0.85) / 2, (0.65 + 0.85) / 2]
    half = 12.7062 * np.std(values, ddof=1) / 2**0.5
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["high"] - found["value"] == pytest.approx(half, rel=1e-4)
    assert SUMMED in found["interval"]


def test_a_derived_column_lacks_what_its_parts_lack(two_norms):
    run = two_norms.add("st", {"linf": (40, 140), "l2": (40, 60)}, seed=1)
    two_norms.evaluation(run, "l2", "pgd-l2").unlink()
    table = reproduce(NORMS, two_norms.results)
    found = line(table, "st", "ours", "mean")
    assert (found["seeds"], found["lacking"]) == (1, "1 not made yet")
    assert line(table, "st", "ours", "gap")["seeds"] == 2


def test_train_and_test_images_may_stand_side_by_side(empty_project):
    threat = Threat(eps=0.1)
    suites = [
        Suite(name=name, threat=threat, attacks={}, split=name, masking=False) for name in ("test", "train")
    ]
    empty_project.attacked(*suites)
    empty_project.add("st", {"test": (40,), "train": (4,)})
    columns = (
        Column("train", "Train", "clean"),
        Column("test", "Test", "clean"),
        Derived("gap", "Gap", {"test": 1, "train": -1}),
    )
    rows = [Row("1", "st", {"method": "st"})]
    spec = TableSpec(
        "T", {"method": "M"}, columns, rows=rows, sources=[Source("ours", "test", {"train": "train"})]
    )
    table = reproduce(spec, empty_project.results)
    assert [line(table, "st", "ours", key)["value"] for key in ("train", "test", "gap")] == [1.0, 10.0, 9.0]


def test_eleven_attacks_and_their_mean(empty_project):
    names = [f"a{i}" for i in range(11)]
    empty_project.attacked(
        Suite(
            name="s",
            threat=Threat(eps=0.1),
            attacks={name: PGDEvaluation(steps=i + 1, step_size=0.01) for i, name in enumerate(names)},
            masking=False,
        )
    )
    empty_project.add("st", {"s": (0, *range(40, 84, 4))})
    columns = [Column(name, name, name) for name in names] + [Derived("mean", "Mean", mean_of(names))]
    spec = TableSpec("T", {"method": "M"}, columns, rows=[Row("1", "st", {"method": "st"})])
    table = reproduce(spec, empty_project.results)
    assert table.frame["value"].tolist() == pytest.approx([*range(10, 21), 15])


def test_a_kind_that_two_suites_have_is_a_column_of_both(empty_project):
    suites = [
        Suite(name="a", threat=Threat(eps=0.1), attacks={"x": PGD}),
        Suite(name="b", threat=Threat(eps=0.2), attacks={"y": AutoAttackEvaluation()}),
    ]
    empty_project.attacked(*suites)
    rows = [Row("1", "st", {"method": "st"})]
    frame = reproduce(dataclasses.replace(SPEC, published="", rows=rows), empty_project.results).frame
    assert frame.groupby("source")["column"].apply(list).to_dict() == {
        "a": ["clean", "pgd"],
        "b": ["clean", "autoattack"],
    }


def test_a_label_called_as_a_column_of_every_table_is_refused():
    with pytest.raises(ValueError, match="label 'attack' is a column of every table"):
        dataclasses.replace(SPEC, labels={"attack": "Attack"})


def test_the_documented_table_is_one_and_may_be_empty(project, empty_project):
    page = (project / "docs" / "adding-a-study.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    (section,) = names["SECTIONS"]
    section.make(empty_project.results, empty_project.reports)
    table = section.table(empty_project.results)
    assert table.frame["row"].nunique() == len(empty_project.results.rows("table2"))
    empty_project.studied(None)
    section.make(empty_project.results, empty_project.reports)
    assert section.table(empty_project.results).frame.empty
