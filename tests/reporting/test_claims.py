import numpy as np
import pandas as pd
import pytest

from robustfront.errors import ConfigError
from robustfront.evaluation.statistics import paired_interval
from robustfront.reporting.claims.judging import every, judge, signed, some
from robustfront.reporting.claims.language import Claim, Series, load_claims
from robustfront.reporting.published import read_published

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
    return {"kind": "difference", "error": error, "of": [of], "minus": [minus]} | bounds


def verdicts(project, *claims):
    """(claim, paper's data set, suite) -> line."""
    table = judge(claims, project.plan, project.layout)
    keys = ["claim", "published_as", "suite"]
    return {tuple(line[key] for key in keys): line for line in table.to_dict("records")}


def verdict(project, *predicates, suite="paper-space", **others):
    return verdicts(project, claim(*predicates, **others))["c", "CIFAR10", suite]


@pytest.fixture
def project(empty_project):
    """`st`: 5 % clean error; `npda-pgd`: 7.5 %, on the same images and 10 more."""
    empty_project.add("st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)})
    empty_project.add("npda-pgd", {"paper-space": (30, 160, 168), "pixel-space": (30, 240, 250)})
    return empty_project


# ------------------------------------------------------------------------------------- the sentences
def test_every_claim_is_about_rows_of_the_tables():
    for found in load_claims():
        for predicate in found.predicates:
            if isinstance(predicate, Series):
                rows = read_published(predicate.table)
                assert predicate.method in set(rows["method"])
                assert predicate.along in rows
            else:
                named = {*getattr(predicate, "of", ()), *getattr(predicate, "minus", ())}
                named |= set(getattr(predicate, "runs", ()))
                assert named
                assert named <= set(read_published("s000_table1")["run"])


def test_the_papers_own_numbers_contradict_it_where_we_say_so(empty_project):
    found = verdicts(empty_project, *load_claims())
    printed = {key[:2]: line["verdict"] for key, line in found.items() if key[2] == "published"}
    assert len(printed) == len([key for key in found if key[2] == "pixel-space"])
    assert {key for key, word in printed.items() if word == "contradicted"} == {
        ("lse-exception", "CIFAR10"),
        ("lse-exception", "SVHN"),
        ("clean-below-weak-trades", "CIFAR10"),
        ("clean-below-weak-trades", "SVHN"),
        ("pgd-at-most-robust-baseline", "CIFAR10"),
        ("svhn-gap", "SVHN"),
        ("beta-trade-off", "SVHN"),
    }
    assert {key for key, word in printed.items() if word == "no numbers"} == {
        ("no-trade-off-in-training", "CIFAR10")
    }


def test_a_bound_that_is_just_kept_in_print_is_kept(empty_project):
    line = verdicts(empty_project, *load_claims())["clean-near-standard", "CIFAR10", "published"]
    assert (line["verdict"], line["value_points"], line["at_most_points"]) == ("holds", 1.35, 1.35)
    assert line["condition"] == "npgd-pgd − st"


def test_nothing_is_decided_without_runs(empty_project):
    found = verdicts(empty_project, *load_claims())
    here = [line for (_, _, suite), line in found.items() if suite != "published"]
    assert {line["verdict"] for line in here} == {"undecided at this scale"}
    reasons = {key: line["reason"] for key, line in found.items()}
    assert reasons["svhn-gap", "SVHN", "pixel-space"] == "no data set of this scale stands for SVHN"
    assert reasons["npgd-near-best-baseline", "CIFAR10", "pixel-space"] == (
        "not run at this scale: npgd-pgd, pgd-at"
    )


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ("{kind: diference, error: clean, of: [st], minus: [st], at_most: 0}", "did you mean 'difference'"),
        ("{kind: difference, error: clean, of: [st], minus: [st]}", "give at_least, at_most or both"),
        ("{kind: difference, error: clear, of: [st], minus: [st], at_most: 0}", "must be 'clean', 'pgd' or"),
        ("{kind: trend, table: s000_table9, method: NPDA, along: beta, error: pgd, at_most: 0}", "table"),
        ("{kind: spread, table: s000_table3, method: NPDA, along: beta, error: pgd, at_most: x}", "at_most"),
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
    text = (
        "{id: a, statement: s, where: w, reason: r, predicates: [{kind: unmasked, runs: [st], tolerance: 0}]}"
    )
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


def test_one_missing_run_leaves_a_claim_about_all_open_unless_another_refutes_it(project):
    both = {"kind": "difference", "error": "clean", "of": ["npda-pgd", "npgd-pgd"], "minus": ["st"]}
    line = verdict(project, both | {"at_most": 6.0})
    assert line["verdict"] == "undecided at this scale"
    assert line["reason"] == "not run at this scale: npgd-pgd (1 of 2 comparisons are decided)"
    assert verdict(project, both | {"at_most": 0.0})["verdict"] == "not reproduced"


def test_averages_of_groups_are_compared_as_such(project):
    project.add("npgd-pgd", {"paper-space": (14, 120, 130), "pixel-space": (14, 120, 130)})
    groups = {"kind": "difference", "error": "clean", "of": ["npda-pgd", "npgd-pgd"], "minus": ["st"]}
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


def test_the_gap_on_svhn_is_that_of_rows_of_two_tables():
    def printed(table, run):
        rows = read_published(table)
        return rows[(rows["run"] == run) & (rows["dataset"] == "SVHN")].set_index("attack")["error_percent"]

    best, behind = printed("s000_table1", "pgd-at"), printed("s000_table3", "npgd-pgd")
    assert behind["autoattack"] - best["autoattack"] == pytest.approx(35.83)


def test_several_seeds_reach_every_claim(empty_project):
    names = {run for number in (1, 2, 3) for run in read_published(f"s000_table{number}")["run"]}
    for place, name in enumerate(sorted(names)):
        for seed in range(3):
            wrong = 20 + place + seed
            errors = {"paper-space": (wrong, 4 * wrong, 5 * wrong), "pixel-space": (wrong, 300, 300)}
            empty_project.add(name, errors, seed=seed)
    found = verdicts(empty_project, *load_claims())
    here = [line for key, line in found.items() if key[1] == "CIFAR10" and key[2] == "paper-space"]
    assert len(here) > 10
    assert {line["seeds"] for line in here if line["value_points"] == line["value_points"]} == {3}
    assert not [line["reason"] for line in here if "not run" in line["reason"]]
    assert sum(line["verdict"] != "undecided at this scale" for line in here) > 10


def test_nothing_is_concluded_where_every_model_falls(empty_project):
    everything = {"paper-space": (20, 400, 380), "pixel-space": (20, 400, 359)}
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
    predicate = {"kind": "unmasked", "runs": ["st"], "tolerance": 0.2}
    assert verdict(empty_project, predicate)["verdict"] == "reproduced"
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
    assert line["value_points"] == pytest.approx(100 * (0.85 / 6 - 0.85 / 2))  # validated every other epoch
    other = verdict(empty_project, predicate, suite="pixel-space")
    assert other["verdict"] == "undecided at this scale"
    assert other["reason"].startswith("training is not watched in pixel space")


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
