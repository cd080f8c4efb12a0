import shutil

import numpy as np
import pandas as pd
import pytest

from finished_study import NPAT
from robustfront.artefacts import read_json, write_json
from robustfront.config.evaluations import Suite
from robustfront.errors import ConfigError
from robustfront.evaluation.statistics import paired_interval
from robustfront.reporting.claims.judging import every, judge, signed, some
from robustfront.reporting.claims.language import Claim, load_claims
from robustfront.reporting.published import COLUMNS

ERRORS = {"paper-space": (20, 120, 130), "pixel-space": (20, 200, 220)}


def claim(*predicates, **others):
    """A claim about CIFAR10, for which the synthetic data set stands."""
    about = {
        "id": "c",
        "statement": "it holds",
        "where": "section 4",
        "datasets": ["CIFAR10"],
        "reason": "why",
    }
    return Claim.model_validate(about | {"predicates": predicates} | others)


def difference(of, minus, error="clean", **bounds):
    return {"kind": "difference", "table": "table1", "error": error, "of": [of], "minus": [minus]} | bounds


def verdicts(project, *claims):
    """(claim, paper's data set, suite) -> line."""
    table = judge(claims, project.results)
    keys = ["claim", "published_as", "suite"]
    return {tuple(line[key] for key in keys): line for line in table.to_dict("records")}


def verdict(project, *predicates, suite="paper-space", **others):
    return verdicts(project, claim(*predicates, **others))["c", "CIFAR10", suite]


@pytest.fixture(autouse=True)
def own_data(empty_project):
    """Digits are the paper's own data set, with nothing done otherwise."""
    empty_project.studied(NPAT, same={"CIFAR10": ("digits",)})


@pytest.fixture
def project(empty_project):
    """`st`: 5 % clean error; `npda-pgd`: 7.5 %, on the same images and 10 more."""
    empty_project.add("st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)})
    empty_project.add("npda-pgd", {"paper-space": (30, 160, 168), "pixel-space": (30, 240, 250)})
    return empty_project


# ------------------------------------------------------------------------------------- the sentences
@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        (
            "{kind: diference, table: table1, error: clean, of: [st], minus: [st], at_most: 0}",
            "did you mean 'difference'",
        ),
        (
            "{kind: difference, table: table1, error: clean, of: [st], minus: [st]}",
            "give at_least, at_most or both",
        ),
        ("{kind: difference, error: clean, of: [st], minus: [st], at_most: 0}", "table: missing"),
        ("{kind: trend, table: a/b, rows: {}, along: beta, error: pgd, at_most: 0}", "table"),
        (
            "{kind: spread, table: t, rows: {method: a}, along: beta, error: pgd, at_most: x}",
            "at_most",
        ),
    ],
)
def test_a_mistake_in_a_claim_is_named(tmp_path, predicate, message):
    path = tmp_path / "claims.yaml"
    path.write_text(f"claims: [{{id: a, statement: s, where: w, reason: r, predicates: [{predicate}]}}]")
    with pytest.raises(ConfigError, match=message) as caught:
        load_claims(path)
    assert str(caught.value).startswith(f"{path}: claims[0].predicates[0]")


def test_two_claims_of_one_name_are_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    predicate = "{kind: unmasked, table: t, runs: [st], tolerance: 0}"
    text = f"{{id: a, statement: s, where: w, reason: r, predicates: [{predicate}]}}"
    path.write_text(f"claims: [{text}, {text}]")
    with pytest.raises(ConfigError, match="two are called a"):
        load_claims(path)


# --------------------------------------------------------------------------------------- differences
def test_a_difference_beyond_its_bound_by_more_than_chance_is_not_reproduced(project):
    line = verdict(project, difference("npda-pgd", "st", at_most=0.0))
    assert line["verdict"] == "not reproduced"
    assert (line["value_points"], line["n"], line["seeds"]) == (pytest.approx(2.5), 400, 1)
    assert 0 < line["low_points"] < 2.5 < line["high_points"] < 5
    assert line["p"] == pytest.approx(2 / 2**10)  # ten images differ, all one way
    assert line["reason"].startswith("npda-pgd − st, clean: +2.50 [+")
    assert line["reason"].endswith("n = 400, McNemar p = 0.002; at most 0")


def test_a_difference_within_its_bound_by_more_than_chance_is_reproduced(project):
    assert verdict(project, difference("npda-pgd", "st", at_most=6.0))["verdict"] == "reproduced"
    assert verdict(project, difference("st", "npda-pgd", at_most=0.0))["verdict"] == "reproduced"
    assert verdict(project, difference("npda-pgd", "st", at_least=0.0))["verdict"] == "reproduced"


def test_a_difference_that_may_lie_on_either_side_is_undecided(project):
    line = verdict(project, difference("npda-pgd", "st", at_most=3.0))
    assert line["verdict"] == "undecided at this scale"
    assert "+2.50 [" in line["reason"]


def test_the_bound_is_that_of_the_papers_data_set(project):
    predicate = difference("npda-pgd", "st", at_most={"CIFAR10": 6.0, "SVHN": 0.0})
    assert verdict(project, predicate)["verdict"] == "reproduced"


def test_each_suite_judges_with_its_own_attacks(project):
    predicate = difference("npda-pgd", "st", "autoattack", at_most=-45.0)
    assert verdict(project, predicate, suite="paper-space")["verdict"] == "reproduced"  # 42 − 96
    assert verdict(project, predicate, suite="pixel-space")["verdict"] == "not reproduced"  # 62.5 − 100


def test_a_claim_may_say_in_which_suites_it_is_judged(project):
    of_one = claim(difference("npda-pgd", "st", at_most=5), suites=["pixel-space", "elsewhere"])
    assert {suite for _, _, suite in verdicts(project, of_one)} == {"published", "pixel-space"}


def test_a_verdict_names_the_attack_that_a_suite_has_for_the_papers(empty_project):
    attacks = {
        "weak": {"kind": "pgd", "steps": 1, "step_size": 0.1},
        "apgd": {"kind": "autoattack", "version": "apgd"},
    }
    suite = Suite.model_validate(
        {"name": "small", "threat": {"eps": 0.1}, "attacks": attacks, "masking": False}
    )
    empty_project.attacked(suite)
    empty_project.add("st", {"small": (20, 300, 384)})
    empty_project.add("npda-pgd", {"small": (30, 160, 168)})
    line = verdict(empty_project, difference("npda-pgd", "st", "autoattack", at_most=0.0), suite="small")
    assert line["reason"].startswith("npda-pgd − st, apgd: −54.00 [")


def test_one_missing_run_leaves_a_claim_about_all_open_unless_another_refutes_it(project):
    both = {
        "kind": "difference",
        "table": "table1",
        "error": "clean",
        "of": ["npda-pgd", "npgd-pgd"],
        "minus": ["st"],
    }
    line = verdict(project, both | {"at_most": 6.0})
    assert line["verdict"] == "undecided at this scale"
    assert line["reason"] == "not run at this scale: npgd-pgd (1 of 2 comparisons are decided)"
    assert verdict(project, both | {"at_most": 0.0})["verdict"] == "not reproduced"


def test_averages_of_groups_are_compared_as_such(project):
    project.add("npgd-pgd", {"paper-space": (14, 120, 130), "pixel-space": (14, 120, 130)})
    groups = {
        "kind": "difference",
        "table": "table1",
        "error": "clean",
        "of": ["npda-pgd", "npgd-pgd"],
        "minus": ["st"],
    }
    line = verdict(project, groups | {"average": True, "at_most": 3.0})
    assert line["value_points"] == pytest.approx(100 * ((30 + 14) / 2 - 20) / 400)
    assert line["verdict"] == "reproduced"
    assert pd.isna(line["p"])  # McNemar's test is of two models


def test_many_comparisons_need_more_confidence_to_refute_a_claim(empty_project):
    names = [f"r{i}" for i in range(40)]
    empty_project.add("st", dict.fromkeys(ERRORS, (20, 100, 120)))
    for name in names:
        empty_project.add(name, dict.fromkeys(ERRORS, (26, 100, 120)))
    one = verdict(empty_project, difference("r0", "st", at_most=0.0))
    all_of_them = difference("r0", "st", at_most=0.0) | {"of": names}
    assert one["p"] == pytest.approx(2 / 2**6)
    assert one["verdict"] == "not reproduced"
    many = verdict(empty_project, all_of_them)
    assert many["verdict"] == "undecided at this scale"
    assert "at most 0, which fails at 95 %, but not at the 99.88 % that one of many has to" in many["reason"]


def test_several_seeds_are_judged_over_seeds(empty_project):
    for seed, (st, npda) in enumerate([(20, 60), (22, 70), (18, 54)]):
        empty_project.add("st", dict.fromkeys(ERRORS, (st, 100, 100)), seed=seed)
        empty_project.add("npda-pgd", dict.fromkeys(ERRORS, (npda, 100, 100)), seed=seed)
    line = verdict(empty_project, difference("npda-pgd", "st", at_most=0.0))
    values = np.array([10.0, 12.0, 9.0])
    half = 4.302653 * values.std(ddof=1) / 3**0.5
    assert (line["value_points"], line["seeds"]) == (pytest.approx(values.mean()), 3)
    assert line["low_points"] == pytest.approx(values.mean() - half, abs=1e-5)
    assert line["high_points"] == pytest.approx(values.mean() + half, abs=1e-5)
    assert line["verdict"] == "not reproduced"
    assert "3 seeds" in line["reason"]


def test_seeds_that_agree_on_one_test_set_do_not_make_its_images_certain(empty_project):
    alone = dict.fromkeys(ERRORS, (20, 100, 100))
    for seed in range(3):
        empty_project.add("st", alone, seed=seed)
        empty_project.add("npda-pgd", dict.fromkeys(ERRORS, (22, 100, 100)), seed=seed)
    line = verdict(empty_project, difference("npda-pgd", "st", at_most=0.0))
    over_images = paired_interval(np.repeat([1.0, 0.0], [2, 398]), -1, 1)
    assert (line["value_points"], line["seeds"]) == (pytest.approx(0.5), 3)
    assert [line["low_points"], line["high_points"]] == pytest.approx(
        [100 * over_images.low, 100 * over_images.high]
    )
    assert line["verdict"] == "undecided at this scale"
    tied = verdict(empty_project, difference("npda-pgd", "st", error="pgd", at_most=0.0))
    assert tied["verdict"] == "undecided at this scale"


def test_dynamics_of_several_seeds_are_no_surer_than_their_validation_images(empty_project):
    predicate = {"kind": "dynamics", "runs": ["npgd-pgd"], "clean_rise_at_most": 1.35}
    lines = []
    for seed in range(3):
        empty_project.add("npgd-pgd", ERRORS, seed=seed)
        lines.append(verdict(empty_project, predicate))
    assert [line["seeds"] for line in lines] == [1, 2, 3]
    ends = [[line["low_points"], line["high_points"]] for line in lines]
    assert ends[1] == pytest.approx(ends[0])  # the same curves: as sure as one
    assert ends[2] == pytest.approx(ends[0])


def test_nothing_is_concluded_where_every_model_falls(empty_project):
    everything = {"paper-space": (20, 380, 380), "pixel-space": (20, 359, 359)}
    for name in ("st", "npda-pgd"):
        empty_project.add(name, everything)
    near = difference("npda-pgd", "st", error="autoattack", at_most=5.0)
    line = verdict(empty_project, near)
    assert line["verdict"] == "undecided at this scale"
    assert line["reason"] == "under this attack all of these models do no better than guessing"
    assert verdict(empty_project, near, suite="pixel-space")["verdict"] == "reproduced"  # 359 < 90 % of 400
    clean = verdict(empty_project, difference("npda-pgd", "st", at_most=5.0))
    assert clean["verdict"] == "reproduced"


def test_seeds_that_only_one_model_has_are_left_out(project):
    project.add("st", dict.fromkeys(ERRORS, (200, 300, 300)), seed=7)
    line = verdict(project, difference("npda-pgd", "st", at_most=0.0))
    assert (line["seeds"], line["value_points"]) == (1, pytest.approx(2.5))


# ------------------------------------------------------------------------------------ gradient masking
@pytest.mark.parametrize(
    ("masked", "minus_bound", "expected"),
    [
        ("npda-pgd", 0.0, "undecided at this scale"),  # it may be less robust than it seems
        ("st", 0.0, "reproduced"),  # then the gain is larger still
        ("npda-pgd", -60.0, "not reproduced"),  # then the gain is smaller still
        ("st", -60.0, "undecided at this scale"),
    ],
)
def test_a_masked_model_settles_only_what_its_masking_cannot_turn_round(
    empty_project, masked, minus_bound, expected
):
    for name, errors in (("st", (20, 380, 384)), ("npda-pgd", (30, 160, 168))):
        masked_in = "paper-space" if name == masked else ""
        empty_project.add(name, dict.fromkeys(ERRORS, errors), masked=masked_in)
    predicate = difference("npda-pgd", "st", "autoattack", at_most=minus_bound)  # -54 points
    line = verdict(empty_project, predicate)
    assert line["verdict"] == expected
    assert line["masked"] == (masked if "un" in expected else "")
    assert line["reason"].startswith(f"a gradient-masking check failed for {masked}") == ("un" in expected)
    clean = verdict(empty_project, difference("npda-pgd", "st", at_most=6.0))
    assert clean["verdict"] == "reproduced"


def test_masking_is_a_claim_of_its_own(empty_project):
    empty_project.add("st", dict.fromkeys(ERRORS, (1, 2, 3)), masked="pixel-space")
    predicate = {"kind": "unmasked", "table": "table1", "runs": ["st"], "tolerance": 0.2}
    found = verdict(empty_project, predicate)
    assert (found["verdict"], found["reason"]) == ("not reproduced", "st: failed (more steps not weaker)")
    assert verdict(empty_project, predicate, suite="pixel-space")["verdict"] == "not reproduced"
    assert verdict(empty_project, predicate, suite="published")["verdict"] == "holds"  # 84.18 against 84.28
    strict = verdict(empty_project, predicate | {"tolerance": 0.05}, suite="published")
    assert (strict["verdict"], strict["reason"]) == ("contradicted", "st: AutoAttack 84.18, PGD 84.28")


# ------------------------------------------------------------------------------------------- dynamics
def test_training_dynamics_are_judged_in_the_space_they_were_watched_in(empty_project):
    empty_project.add("npgd-pgd", ERRORS)
    predicate = {"kind": "dynamics", "runs": ["npgd-pgd"], "clean_rise_at_most": 1.35}
    line = verdict(empty_project, predicate)
    assert line["verdict"] == "reproduced"
    assert line["value_points"] == pytest.approx(100 * (0.72 / 6 - 0.9))  # from the start, epoch 0
    assert line["condition"] == "npgd-pgd, clean validation error, last epoch minus start"
    other = verdict(empty_project, predicate, suite="pixel-space")
    assert other["verdict"] == "undecided at this scale"
    assert other["reason"].startswith("training is not watched in pixel space")


def test_dynamics_of_a_history_without_the_start_are_undecided(empty_project):
    predicate = {"kind": "dynamics", "runs": ["npgd-pgd"], "clean_rise_at_most": 1.35}
    for seed in (0, 1):
        run = empty_project.add("npgd-pgd", ERRORS, seed=seed)
        path = empty_project.layout.run(run) / "history.csv"
        older = pd.read_csv(path).query("epoch > 0")
        path.write_text(older.to_csv(index=False))
    line = verdict(empty_project, predicate)
    assert line["verdict"] == "undecided at this scale"
    assert line["reason"] == "npgd-pgd: its history.csv is older than epoch 0, the start"
    empty_project.add("npgd-pgd", ERRORS, seed=2)
    line = verdict(empty_project, predicate)
    assert (line["verdict"], line["seeds"]) == ("reproduced", 1)


def test_dynamics_are_over_the_images_that_select_the_model(empty_project):
    run = empty_project.add("npgd-pgd", ERRORS)
    predicate = {"kind": "dynamics", "runs": ["npgd-pgd"], "clean_rise_at_most": 1.35}
    assert verdict(empty_project, predicate)["n"] == 200
    path = empty_project.layout.run(run) / "manifest.json"
    write_json(path, read_json(path) | {"selected_on": 50})
    assert verdict(empty_project, predicate)["n"] == 50


# ---------------------------------------------------------------------------------------------- words
def test_points_are_signed_and_zero_is_not_negative():
    assert [signed(points) for points in (1.35, -0.2, -0.004, 0.0)] == ["+1.35", "−0.20", "+0.00", "+0.00"]


# ---------------------------------------------------------------------------------------------- logic
@pytest.mark.parametrize(
    ("truths", "all_hold", "one_holds"),
    [
        ([True, True], True, True),
        ([True, None], None, True),
        ([True, False], False, True),
        ([None, False], False, None),
        ([False, False], False, False),
        ([None, None], None, None),
    ],
)
def test_open_questions_stay_open_only_where_they_matter(truths, all_hold, one_holds):
    assert every(truths) is all_hold
    assert some(truths) is one_holds


# -------------------------------------------------------------------------------------- other studies
@pytest.fixture
def theirs(empty_project, tmp_path):
    """A study of one table with accuracies as fractions, several radii of an attack, and one run here."""
    folder = tmp_path / "mine"
    (folder / "published").mkdir(parents=True)
    lines = [
        "1,1,st,CIFAR10,clean_accuracy,none,,0.92,fraction",
        "1,1,st,CIFAR10,robust_accuracy,PGD-20,8/255,0.4,fraction",
        "1,1,st,CIFAR10,robust_accuracy,Square,8/255,0.4,fraction",
        "1,1,st,CIFAR10,robust_accuracy,Square,16/255,0.2,fraction",
        "1,2,ours,CIFAR10,clean_accuracy,none,,0.9,fraction",
        "1,2,ours,CIFAR10,robust_accuracy,PGD-20,8/255,0.45,fraction",
        "1,2,ours,CIFAR10,robust_accuracy,Square,8/255,0.45,fraction",
    ]
    (folder / "published" / "t.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    empty_project.studied(folder, datasets={"CIFAR10": ("digits",)}, same={"CIFAR10": ("digits",)})
    empty_project.add("st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)})
    return empty_project


def gain(error):
    predicate = {"kind": "difference", "table": "t", "error": error, "of": ["ours"], "minus": ["st"]}
    return predicate | {"at_most": 0.0}


def test_printed_accuracies_are_compared_as_errors_under_any_attack_by_name(theirs):
    clean = verdict(theirs, gain("clean"), suite="published")
    assert (clean["verdict"], clean["value_points"]) == ("contradicted", pytest.approx(2.0))
    robust = verdict(theirs, gain("pgd-20"), suite="published")
    assert (robust["verdict"], robust["value_points"]) == ("holds", pytest.approx(-5.0))


def test_numbers_of_several_radii_are_not_one(theirs):
    line = verdict(theirs, gain("square"), suite="published")
    assert (line["verdict"], line["reason"]) == ("no numbers", "the paper prints several numbers of st")
    unmasked = {"kind": "unmasked", "table": "t", "runs": ["st"], "tolerance": 0.2}
    line = verdict(theirs, unmasked, suite="published")
    assert (line["verdict"], line["reason"]) == ("no numbers", "the paper prints no numbers of st")


def test_an_attack_that_no_suite_has_leaves_a_claim_open(theirs):
    theirs.add("ours", {"paper-space": (20, 300, 300), "pixel-space": (20, 396, 400)})
    assert verdict(theirs, gain("pgd-20"))["verdict"] == "reproduced"
    assert verdict(theirs, gain("square"))["reason"] == "suite paper-space has no attack square"


def test_claims_are_about_all_data_sets_of_the_study_unless_they_say(theirs):
    lines = verdicts(theirs, claim(gain("clean"), datasets=[]))
    assert {dataset for _, dataset, _ in lines} == {"CIFAR10"}


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_run_that_failed_leaves_a_claim_open_and_says_why(theirs, state):
    run = theirs.add("ours", {"paper-space": (20, 300, 300), "pixel-space": (20, 396, 400)})
    shutil.rmtree(theirs.layout.run(run))
    write_json(theirs.layout.run(run) / "failure.json", {"verb": "train", "state": state, "message": "!"})
    line = verdict(theirs, gain("clean"))
    assert (line["verdict"], line["reason"]) == ("undecided at this scale", f"ours: {state}")
    unmasked = {"kind": "unmasked", "table": "t", "runs": ["ours"], "tolerance": 0.2}
    assert verdict(theirs, unmasked)["reason"] == "ours was not checked"
    watched = {"kind": "dynamics", "runs": ["ours"], "clean_rise_at_most": 1}
    assert verdict(theirs, watched)["reason"] == f"ours: {state}"


def test_a_seed_that_failed_is_left_out(theirs):
    for seed in (0, 1):
        run = theirs.add("ours", {"paper-space": (20, 300, 300), "pixel-space": (20, 396, 400)}, seed=seed)
    theirs.add("st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)}, seed=1)
    assert verdict(theirs, gain("pgd-20"))["seeds"] == 2
    shutil.rmtree(theirs.layout.run(run))
    assert verdict(theirs, gain("pgd-20"))["seeds"] == 1
