import dataclasses

import pytest

from robustfront.reporting.other_runs import NONE_YET, compare, heading, other_runs

ERRORS = {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)}


def test_a_run_of_ones_own_is_compared_with_the_models_of_table_1_that_were_run(finished):
    finished.add("mine", ERRORS)
    table = compare(finished.plan, finished.layout)
    assert list(table["run"].unique()) == ["mine", "st", "pgd-at", "npda-pgd"]
    assert set(table["suite"]) == {"paper-space", "pixel-space"}
    assert set(table["status"]) == {"reproduced"}
    ours = table[(table["run"] == "mine") & (table["suite"] == "paper-space")].set_index("attack")
    assert ours["error_percent"].tolist() == [2.0, 20.0, 25.0]
    assert set(table.loc[table["run"] == "pgd-at", "seeds"]) == {3}
    assert NONE_YET not in heading(table).notes


def test_it_says_from_which_run_each_starts(finished):
    start = next(run.id for run in finished.plan.runs.values() if "st" in run.names)
    child = finished.plan.runs[finished.add("mine", ERRORS)]
    config = child.config.model_copy(update={"init": start})
    finished.plan.runs[child.id] = dataclasses.replace(child, config=config)
    starts = compare(finished.plan, finished.layout).drop_duplicates("run").set_index("run")["pretrained"]
    assert (starts["mine"], starts["st"]) == ("st", "scratch")


def test_a_start_of_the_papers_runs_is_not_an_other_run(finished):
    start = finished.add("st-hidden-2x", ERRORS)
    child = finished.plan.runs[finished.add("npda-hidden-2x", ERRORS)]
    config = child.config.model_copy(update={"init": start})
    finished.plan.runs[child.id] = dataclasses.replace(child, config=config)
    assert other_runs(finished.plan) == []


def test_without_other_runs_it_says_how_to_add_one(finished):
    table = compare(finished.plan, finished.layout)
    assert heading(table).notes == (NONE_YET,)
    assert "mine" not in set(table["run"])


@pytest.mark.parametrize("seeds", [1, 3])
def test_several_seeds_of_an_other_run_are_one_row(finished, seeds):
    for seed in range(seeds):
        finished.add("mine", {"paper-space": (8 + seed, 80, 100), "pixel-space": (8, 80, 100)}, seed=seed)
    table = compare(finished.plan, finished.layout)
    mine = (
        table[(table["run"] == "mine") & (table["suite"] == "paper-space")].set_index("attack").loc["clean"]
    )
    assert (mine["seeds"], mine["error_percent"]) == (seeds, pytest.approx((8 + (seeds - 1) / 2) / 4))
