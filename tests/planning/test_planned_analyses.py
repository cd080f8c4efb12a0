from typing import Any

import pytest

from robustfront.planning import Plan, load_plan
from small_params import tree, write
from study_files import STUDY

LANDSCAPE = {"kind": "landscape", "runs": ["st", "at", "npgd"], "span": 0.1}
NULL_SPACE = {
    "kind": "null-space",
    "runs": ["npgd", "at"],
    "threat": {"eps": 0.1},
    "attack": {"steps": 1, "step_size": 0.1},
}


@pytest.fixture
def plan(tmp_path) -> Any:
    def make(scale: str | None = None, **edits: Any) -> Plan:
        entries = {"landscape": LANDSCAPE, "null-space": NULL_SPACE}
        return load_plan(write(tmp_path, tree(**{"defaults/analyses": entries, **edits})), scale)

    return make


def named(plan: Plan, run_id: str) -> tuple[str, str, int]:
    run = plan.studies[STUDY].runs[run_id]
    return run.names[0], run.config.dataset.name, run.config.seed


def test_an_analysis_is_done_on_its_runs_once_per_data_set_for_the_first_seed(plan) -> None:
    wide = plan("wide")
    landscape, null_space = wide.analyses.values()
    assert [named(wide, run) for run in landscape.runs] == [
        (name, dataset, 0) for dataset in ("digits", "mnist") for name in ("st", "at", "npgd")
    ]
    assert [named(wide, run) for run in null_space.runs][:2] == [("npgd", "digits", 0), ("at", "digits", 0)]
    assert len(wide.analysis_jobs) == 6 + 4
    assert wide.analysis_jobs[0] == (next(iter(landscape.runs)), landscape.id)


def test_it_uses_the_projector_of_the_run_its_run_starts_from(plan) -> None:
    tiny = plan()
    landscape, null_space = tiny.analyses.values()
    assert set(landscape.runs.values()) == {None}
    (npgd, at), projectors = null_space.runs, set(null_space.runs.values())
    assert projectors == {tiny.runs[npgd].config.projector}
    assert tiny.runs[at].config.projector is None
    assert tiny.runs[at].config.init == tiny.projectors[projectors.pop()].run_id


def test_it_brings_its_projector_where_no_method_needs_one(plan) -> None:
    tiny = plan(**{"scales/tiny/runs": ["at"]})
    (projector,) = tiny.projectors.values()
    assert list(tiny.analyses.values())[1].runs == {
        run.id: projector.id for run in tiny.runs.values() if run.is_called("at")
    }


def test_runs_that_a_scale_leaves_out_are_skipped(plan) -> None:
    tiny = plan(**{"scales/tiny/runs": ["st", "lse"]})
    landscape, null_space = tiny.analyses.values()
    assert [named(tiny, run)[0] for run in landscape.runs] == ["st"]
    assert null_space.runs == {}


def test_a_sweep_stands_for_its_runs_and_a_run_of_two_names_is_analysed_once(plan) -> None:
    sweep = {"method": "trades", "init": "st", "sweep": {"beta": [0.5, 1.5]}}
    swept = LANDSCAPE | {"runs": ["trades", "swept"]}
    tiny = plan(**{"runs/swept": sweep, "defaults/analyses/landscape": swept})
    landscape = next(iter(tiny.analyses.values()))
    runs = tiny.studies[STUDY].runs
    assert [runs[run].names for run in landscape.runs] == [["trades", "swept-1.5"], ["swept-0.5"]]


def test_editing_an_analysis_changes_no_run(plan) -> None:
    before, after = plan(), plan(**{"defaults/analyses/landscape/points": 5})
    assert before.runs.keys() == after.runs.keys()
    assert before.analyses.keys() ^ after.analyses.keys() == {
        next(iter(before.analyses)),
        next(iter(after.analyses)),
    }
