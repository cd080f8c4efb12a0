"""Where data or settings are not the paper's, claims are judged by their direction alone, and so called."""

import math

import pytest
from test_claims import ERRORS, claim, difference, verdict

from finished_study import NPAT
from robustfront.reporting.claims.conditions import Contrast, Size, directions
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.rendering import count_verdicts, write_claims

SAME = {"CIFAR10": ("digits",)}


@pytest.fixture
def project(empty_project):
    """`st`: 5 % clean error, 96 % under attack; `npda-pgd`: 7.5 % and 42 %. Digits stand for CIFAR10."""
    empty_project.add("st", {"paper-space": (20, 380, 384), "pixel-space": (20, 396, 400)})
    empty_project.add("npda-pgd", {"paper-space": (30, 160, 168), "pixel-space": (30, 240, 250)})
    return empty_project


def expected(setting, value, **more):
    return {"setting": setting, "value": value, "quote": "so they say", "where": "section 4"} | more


# --------------------------------------------------------------------------------------------- bounds
@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        ((-math.inf, 0.0), (-math.inf, 0.0)),
        ((0.0, math.inf), (0.0, math.inf)),
        ((-math.inf, -5.0), (-math.inf, 0.0)),
        ((35.825, 35.835), (0.0, math.inf)),
        ((-3.0, 0.0), (-math.inf, 0.0)),
        ((-math.inf, 1.35), None),
        ((-2.0, math.inf), None),
        ((-1.0, 1.0), None),
        ((0.0, 0.0), None),
    ],
)
def test_bounds_on_one_side_of_zero_are_a_sign_and_others_a_size(bounds, left):
    condition = Contrast("a − b", "t", "clean", {"a": 1.0, "b": -1.0}, *bounds)
    ((found,),) = directions([(condition,)])
    if left is None:
        assert found == Size(condition)
    else:
        assert (found.at_least, found.at_most) == left


# ------------------------------------------------------------------------------------------ the words
@pytest.mark.parametrize(
    ("predicate", "here", "theirs"),
    [
        (difference("npda-pgd", "st", "autoattack", at_most=0.0), "direction holds", "reproduced"),
        (difference("npda-pgd", "st", at_most=0.0), "direction does not hold", "not reproduced"),
        # 54 points fewer errors, of which the paper would have 60
        (difference("npda-pgd", "st", "autoattack", at_most=-60.0), "direction holds", "not reproduced"),
        (difference("npda-pgd", "st", at_least=35.825, at_most=35.835), "direction holds", "not reproduced"),
        # +2.5 points are within a bound of 6 and beyond one of 0.1, on the paper's own data
        (difference("npda-pgd", "st", at_most=6.0), "undecided", "reproduced"),
        (difference("npda-pgd", "st", at_most=0.1), "undecided", "not reproduced"),
    ],
)
def test_a_stand_in_judges_directions_and_the_papers_own_data_sizes(project, predicate, here, theirs):
    assert verdict(project, predicate)["verdict"] == here
    project.studied(NPAT, same=SAME)
    assert verdict(project, predicate)["verdict"] == theirs


def test_a_size_is_shown_and_not_judged(project):
    line = verdict(project, difference("npda-pgd", "st", at_most=1.35))
    assert line["verdict"] == "undecided"
    assert (line["value_points"], line["at_most_points"], line["n"]) == (pytest.approx(2.5), 1.35, 400)
    assert line["reason"].startswith(
        "a size, which is judged on the paper's own data and settings alone: npda-pgd − st, clean: +2.50 ["
    )
    missing = verdict(project, difference("npgd-pgd", "st", at_most=1.35))
    assert missing["reason"] == "not run at this scale: npgd-pgd"


def test_a_claim_of_a_direction_and_a_size_fails_with_the_one_and_never_holds_without_the_other(project):
    size = difference("npda-pgd", "st", at_most=6.0)
    holds = difference("npda-pgd", "st", "autoattack", at_most=0.0)
    fails = difference("npda-pgd", "st", at_most=0.0)
    assert verdict(project, holds, size)["verdict"] == "undecided"
    assert verdict(project, holds, size)["reason"].endswith("(1 of 2 comparisons are decided)")
    assert verdict(project, fails, size)["verdict"] == "direction does not hold"


def test_dynamics_have_a_size_unless_no_rise_is_allowed(empty_project):
    empty_project.add("npgd-pgd", ERRORS)
    predicate = {"kind": "dynamics", "runs": ["npgd-pgd"], "clean_rise_at_most": 1.35}
    assert verdict(empty_project, predicate)["verdict"] == "undecided"
    assert verdict(empty_project, predicate | {"clean_rise_at_most": 0})["verdict"] == "direction holds"


# ---------------------------------------------------------------------------- whose data and settings
@pytest.mark.parametrize(
    ("settings", "paper_space", "pixel_space"),
    [
        ([], True, True),
        ([expected("training.epochs", 6)], True, True),
        ([expected("training.epochs", 200)], False, False),
        ([expected("training.epochs", 200, may_differ=True)], True, True),
        ([expected("suites.paper-space.threat.eps", "8/255")], True, False),  # the other one is ours
        ([expected("suites.paper-space.threat.eps", "4/255")], False, False),
        ([expected("suites.paper-space.attacks.pgd-20.steps", 10, may_differ=True)], True, False),
    ],
)
def test_sizes_are_judged_with_the_settings_that_the_paper_states(
    project, settings, paper_space, pixel_space
):
    facts = type(project.plan.study.facts).model_validate({"title": "t", "expected": settings})
    project.studied(NPAT, same=SAME, expected=facts.expected)
    judged = {"paper-space": paper_space, "pixel-space": pixel_space}
    for suite, whole in judged.items():
        line = verdict(project, difference("npda-pgd", "st", at_most=6.0), suite=suite)
        assert line["verdict"] == ("reproduced" if whole else "undecided")


# ------------------------------------------------------------------------------------------ the files
@pytest.mark.parametrize("suffix", ["csv", "md", "tex", "html"])
def test_every_format_has_the_words_and_says_what_they_mean(project, tmp_path, suffix):
    robust = claim(difference("npda-pgd", "st", "autoattack", at_most=0.0))
    table = judge([robust], project.results)
    assert count_verdicts(table)[1] == "Here, paper-space: 1 direction holds"
    write_claims(table, tmp_path / "claims", "A paper: claims")
    text = (tmp_path / f"claims.{suffix}").read_text(encoding="utf-8")
    assert "direction holds" in text
    if suffix != "csv":
        assert "a bound on one side of 0 is held to its sign alone" in text
    if suffix == "html":
        assert '<span class="passed">direction holds</span>' in text
    project.studied(NPAT, same=SAME)
    write_claims(judge([robust], project.results), tmp_path / "claims", "A paper: claims")
    text = (tmp_path / f"claims.{suffix}").read_text(encoding="utf-8")
    assert "irection" not in text
