"""Suites that attack some runs of their study alone."""

from pathlib import Path
from typing import Any

import pytest

from robustfront.artefacts import Layout
from robustfront.reporting.results import Results
from small_params import complaint, study_plan, tree, write

RUNS: dict[str, Any] = {
    "st": {"method": "standard", "loss": "ce"},
    "npda": {"method": "npda", "init": "st", "generator": "pgd", "sweep": {"beta": [1, 2]}},
    "at": {"method": "pgd_at", "init": "st"},
}
FAR = {"threat": {"eps": 0.3}, "attacks": {"pgd": {"kind": "pgd", "steps": 3, "step_size": 0.2}}}


def written(folder: Path, suite: dict[str, Any], **edits: Any) -> Path:
    return write(folder, tree(**{"runs": RUNS, "defaults/suites/far": suite, **edits}))


def test_the_runs_that_a_suite_names_are_attacked_by_it_and_no_others(tmp_path: Path) -> None:
    plan = study_plan(written(tmp_path, FAR | {"runs": ["npda", "st"]}))
    attacked = {name for run in plan.runs.values() if "far" in plan.suites_of(run.id) for name in run.names}
    assert attacked == {"st", "npda-1", "npda-2"}
    by_name = {run.names[0]: run.id for run in plan.runs.values()}
    for name, run in by_name.items():
        far = plan.evaluation_id(run, "far", "pgd")
        assert (far in plan.wanted(run)) == (name in attacked)
        assert plan.evaluation_id(run, "pixel", "pgd") in plan.wanted(run)


def test_an_attack_does_not_depend_on_who_else_is_attacked(tmp_path: Path) -> None:
    some = study_plan(written(tmp_path / "some", FAR | {"runs": ["st"]}))
    everyone = study_plan(written(tmp_path / "all", FAR))
    (st,) = (run.id for run in some.runs.values() if run.names == ["st"])
    assert some.wanted(st).keys() == everyone.wanted(st).keys()


def test_a_number_of_a_run_that_a_suite_leaves_out_is_not_missing(tmp_path: Path) -> None:
    plan = study_plan(written(tmp_path, FAR | {"runs": ["st"]}))
    results = Results(plan, Layout(tmp_path / "results"))
    results.state = lambda _run_id: "trained"  # type: ignore[method-assign]
    by_name = {run.names[0]: run.id for run in plan.runs.values()}
    assert results.lacks(by_name["at"], "far", "pgd") == "not attacked so"
    assert results.lacks(by_name["st"], "far", "pgd") == "not made yet"


def test_a_network_that_looks_at_its_batch_bothers_only_suites_that_attack_it(tmp_path: Path) -> None:
    looking = {"method": "pgd_at", "model": {"batch_norm": {"kind": "untracked"}}}
    edits = {"runs/at": looking, "defaults/suites/pixel/runs": ["st"]}
    written(tmp_path, FAR | {"runs": ["at"], "whole_batches": True}, **edits)
    plan = study_plan(tmp_path / "params.yaml")
    (at,) = (run.id for run in plan.runs.values() if run.names == ["at"])
    assert set(plan.suites_of(at)) == {"far"}


@pytest.mark.parametrize("key", ["nobody", "npda-3"])
def test_a_run_that_does_not_exist_is_refused(tmp_path: Path, key: str) -> None:
    found = complaint(written(tmp_path, FAR | {"runs": ["st", key]}))
    assert f"defaults.suites.far.runs: there is no '{key}'" in found
