"""What a scale says of single runs, above what stands under `runs`."""

import pytest

from small_params import complaint, study_plan, tree, write

RUNS = {
    "st": {"method": "standard", "loss": "ce"},
    "trades": {"method": "trades", "beta": 1.5, "training": {"batch_size": 32}},
    "at": {"method": "pgd_at", "sweep": {"attack.steps": [1, 2]}},
}


def planned(folder, **of_runs):
    scale = tree()["scale"]
    plan = study_plan(write(folder, tree(**{"runs": RUNS, f"scales/{scale}/of_runs": of_runs})))
    return {run.names[0]: run.config for run in plan.runs.values()}


def test_it_lies_over_the_run_and_that_over_the_scale(tmp_path) -> None:
    change = {"beta": 3.0, "training": {"epochs": 7}, "model": {"width": 9}}
    plain, changed = planned(tmp_path / "plain"), planned(tmp_path / "changed", trades=change)
    assert changed["trades"].params["beta"] == 3.0
    assert changed["trades"].training.epochs == 7
    assert changed["trades"].training.batch_size == 32
    assert changed["trades"].model.width == 9
    assert {name: run for name, run in changed.items() if name != "trades"} == {
        name: run for name, run in plain.items() if name != "trades"
    }


def test_a_sweep_is_all_of_its_runs(tmp_path) -> None:
    changed = planned(tmp_path, at={"attack": {"step_size": 0.07}})
    for steps in (1, 2):
        attack = changed[f"at-{steps}"].params["attack"]
        assert (attack["steps"], attack["step_size"]) == (steps, 0.07)


@pytest.mark.parametrize(
    ("of_runs", "message"),
    [
        ({"nobody": {"beta": 1}}, "of_runs.nobody: there is no 'nobody'"),
        ({"trades": {"method": "pgd_at"}}, "of_runs.trades.method: must be the same at all scales"),
        ({"trades": {"gamma": 1}}, "of_runs.trades"),
    ],
)
def test_mistakes_are_named(of_runs, message, tmp_path) -> None:
    scale = tree()["scale"]
    path = write(tmp_path, tree(**{"runs": RUNS, f"scales/{scale}/of_runs": of_runs}))
    assert message in complaint(path)
