import itertools

import pytest

from finished_study import NPAT
from robustfront.reporting.claims.conditions import Size, clauses, directions
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import Series, load_claims

CLAIMS = load_claims(NPAT / "claims.yaml")


@pytest.fixture
def found(empty_project):
    """(claim, paper's data set, suite) -> line, without any run."""
    return verdicts(empty_project)


def verdicts(project):
    keys = ["claim", "published_as", "suite"]
    table = judge(CLAIMS, project.results)
    return {tuple(line[key] for key in keys): line for line in table.to_dict("records")}


def test_every_claim_is_about_rows_of_the_tables(empty_project):
    for claim in CLAIMS:
        for predicate in claim.predicates:
            if isinstance(predicate, Series):
                rows = [row.labels for row in empty_project.results.rows(predicate.table)]
                meant = [labels for labels in rows if predicate.rows.items() <= labels.items()]
                assert len(meant) > 3
                assert all(float(labels[predicate.along]) for labels in meant)
            else:
                named = {*getattr(predicate, "of", ()), *getattr(predicate, "minus", ())}
                named |= set(getattr(predicate, "runs", ()))
                assert named
                assert named <= {row.run for row in empty_project.results.rows("table1")}


def test_the_papers_own_numbers_contradict_it_where_we_say_so(found):
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


def test_a_bound_that_is_just_kept_in_print_is_kept(found):
    line = found["clean-near-standard", "CIFAR10", "published"]
    assert (line["verdict"], line["value_points"], line["at_most_points"]) == ("holds", 1.35, 1.35)
    assert line["condition"] == "npgd-pgd − st"


def test_nothing_is_decided_without_runs(found):
    here = [line for (_, _, suite), line in found.items() if suite != "published"]
    assert {line["verdict"] for line in here} == {"undecided", "undecided at this scale"}
    reasons = {key: line["reason"] for key, line in found.items()}
    assert reasons["svhn-gap", "SVHN", "pixel-space"] == "no data set of this scale stands for SVHN"
    assert reasons["npgd-near-best-baseline", "CIFAR10", "pixel-space"] == (
        "not run at this scale: npgd-pgd, pgd-at"
    )


def test_several_seeds_reach_every_claim(empty_project):
    names = {row.run for number in (1, 2, 3) for row in empty_project.results.rows(f"table{number}")}
    for place, name in enumerate(sorted(names)):
        for seed in range(3):
            wrong = 20 + place + seed
            errors = {"paper-space": (wrong, 4 * wrong, 5 * wrong), "pixel-space": (wrong, 300, 300)}
            empty_project.add(name, errors, seed=seed)
    found = verdicts(empty_project)
    here = [line for key, line in found.items() if key[1] == "CIFAR10" and key[2] == "paper-space"]
    assert len(here) > 10
    assert {line["seeds"] for line in here if line["value_points"] == line["value_points"]} == {3}
    assert not [line["reason"] for line in here if "not run" in line["reason"]]
    assert sum(line["verdict"].startswith("direction") for line in here) > 7


def test_the_sentences_whose_point_is_how_much_are_left_open_on_a_stand_in(empty_project):
    results, sizes = empty_project.results, set()
    for claim in CLAIMS:
        for dataset, predicate in itertools.product(claim.datasets or ("CIFAR10", "SVHN"), claim.predicates):
            rows = results.rows(predicate.table) if isinstance(predicate, Series) else ()
            wanted = clauses(predicate, dataset, rows, {row.run for row in rows})
            if any(isinstance(condition, Size) for clause in directions(wanted) for condition in clause):
                sizes.add(claim.id)
    assert sizes == {
        "clean-near-standard",
        "more-robust-than-weak-trades",
        "npgd-near-best-baseline",
        "no-trade-off-in-training",
        "beta-clean-flat",
        "hidden-clean-level",
    }
