import json

import pytest

from robustfront.config.schema import PGDEvaluation, Suite, Threat
from robustfront.errors import ArtefactError
from robustfront.reporting.published import read_published
from robustfront.reporting.tables import NPAT_TABLE1, NPAT_TABLE2, NPAT_TABLE3, reproduce


@pytest.fixture
def table(finished):
    return reproduce(NPAT_TABLE1, finished.plan, finished.layout)


def line(table, run, suite, attack):
    (found,) = table[(table["run"] == run) & (table["suite"] == suite) & (table["attack"] == attack)].to_dict(
        "records"
    )
    return found


def test_one_seed_gives_its_error_in_percent_with_the_interval_of_the_artefact(table):
    found = line(table, "npda-pgd", "pixel-space", "autoattack")
    assert found["error_percent"] == pytest.approx(62.5)  # 250 of 400
    assert (found["low_percent"], found["high_percent"]) == pytest.approx((58.5, 67.5))
    assert (found["interval"], found["seeds"], found["n"]) == ("Wilson 95 %", 1, 400)


def test_several_seeds_give_mean_and_student_interval_over_seeds(table):
    found = line(table, "pgd-at", "paper-space", "clean")
    half_width = 4.302653 * 1.0 / 3**0.5  # t(0.975, 2) s / sqrt(n) of 10, 11, 12
    assert found["error_percent"] == pytest.approx(11.0)
    assert found["low_percent"] == pytest.approx(11.0 - half_width, abs=1e-5)
    assert found["high_percent"] == pytest.approx(11.0 + half_width, abs=1e-5)
    assert (found["interval"], found["seeds"]) == ("t 95 % over 3 seeds", 3)


def test_published_numbers_of_the_named_data_set_stand_in_every_row(table):
    published = table[table["suite"] == "published"]
    assert len(published) == 45
    assert line(table, "caat", "published", "pgd")["error_percent"] == 22.00
    assert set(published["published_as"]) == {"CIFAR10"}


def test_rows_that_did_not_run_are_kept_and_say_so(table):
    found = line(table, "caat", "pixel-space", "autoattack")
    assert found["status"] == "not run at this scale"
    assert found["error_percent"] != found["error_percent"]
    assert table["row"].nunique() == 15


def test_each_suite_is_labelled_with_its_space_and_threat(table):
    spaces = table.drop_duplicates("suite").set_index("suite")["space"]
    assert spaces.to_dict() == {"published": "", "paper-space": "normalised", "pixel-space": "pixel"}
    assert "ε = 8/255" in line(table, "st", "pixel-space", "pgd")["threat"]


def test_every_line_says_that_a_small_scale_is_not_comparable(table):
    assert set(table["scale"]) == {"digits scale: not comparable in value"}


def test_the_paper_scale_claims_comparability(finished):
    finished.plan.scale = "paper"
    assert set(reproduce(NPAT_TABLE1, finished.plan, finished.layout)["scale"]) == {"paper scale"}


def test_a_failed_masking_check_marks_that_model_in_that_suite_only(table):
    assert line(table, "st", "pixel-space", "pgd")["masking"] == "failed"
    assert line(table, "st", "paper-space", "pgd")["masking"] == "passed"
    assert line(table, "pgd-at", "pixel-space", "pgd")["masking"] == "passed"


def test_one_unchecked_seed_means_not_checked(finished):
    path = finished.layout.run("digits-pgd-at-s1-0a1b2c3d") / "eval" / "pixel-space-99.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"masking": [], "checksums": {}}))
    table = reproduce(NPAT_TABLE1, finished.plan, finished.layout)
    assert line(table, "pgd-at", "pixel-space", "pgd")["masking"] == "not checked"


def test_the_papers_tables_have_the_papers_rows_alone(finished):
    finished.add("mine", {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)})
    for spec in (NPAT_TABLE1, NPAT_TABLE2, NPAT_TABLE3):
        found = set(reproduce(spec, finished.plan, finished.layout)["run"])
        assert found == set(read_published(spec.published)["run"])


def test_a_run_of_table_1_fills_its_row_of_the_studies_too(finished):
    for spec, label, value in ((NPAT_TABLE2, "hidden", "512"), (NPAT_TABLE3, "beta", "1.5")):
        table = reproduce(spec, finished.plan, finished.layout)
        found = line(table, "npda-pgd", "pixel-space", "autoattack")
        assert (found[label], found["error_percent"]) == (value, 62.5)
        others = table[(table["run"] != "npda-pgd") & (table["suite"] != "published")]
        assert set(others["status"]) == {"not run at this scale"}


def test_a_data_set_without_published_numbers_shows_the_reproduced_ones_alone(finished):
    (key, dataset), *_ = finished.plan.datasets.items()
    finished.plan.datasets[key] = dataset.model_copy(update={"published_as": None})
    assert set(reproduce(NPAT_TABLE1, finished.plan, finished.layout)["suite"]) == {
        "paper-space",
        "pixel-space",
    }


def test_columns_follow_the_kind_of_attack_not_its_name(empty_project):
    attacks = {
        "weak": PGDEvaluation(steps=1, step_size=0.1),
        "strong": PGDEvaluation(steps=99, step_size=0.1),
    }
    empty_project.plan.suites = {"s-1": Suite(name="s", threat=Threat(eps=0.1), attacks=attacks)}
    empty_project.add("st", {"s": (4, 8, 12)})
    table = reproduce(NPAT_TABLE1, empty_project.plan, empty_project.layout)
    found = line(table, "st", "s", "pgd")
    assert (found["attack_name"], found["error_percent"]) == ("weak", pytest.approx(2.0))
    assert "autoattack" not in set(table.loc[table["suite"] == "s", "attack"])


def test_a_missing_evaluation_is_named(finished):
    path = finished.layout.run("digits-st-s0-0a1b2c3d") / "eval" / "pixel-space-99.json"
    path.unlink()
    with pytest.raises(ArtefactError, match=r"digits-st-s0-0a1b2c3d/eval/pixel-space-99\.json: missing"):
        reproduce(NPAT_TABLE1, finished.plan, finished.layout)


def test_an_evaluation_of_another_run_is_refused(finished):
    path = finished.layout.run("digits-st-s0-0a1b2c3d") / "eval" / "pixel-space-99.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run": "other", "checksums": {}}))
    with pytest.raises(ArtefactError, match="belongs to run 'other'"):
        reproduce(NPAT_TABLE1, finished.plan, finished.layout)


@pytest.mark.parametrize("content", ["{}", "[]", "{"])
def test_a_damaged_evaluation_is_named(finished, content):
    path = finished.layout.run("digits-st-s0-0a1b2c3d") / "eval" / "pixel-space-99.json"
    path.write_text(content)
    with pytest.raises(ArtefactError, match=r"pixel-space-99\.json: damaged"):
        reproduce(NPAT_TABLE1, finished.plan, finished.layout)
