"""What a scale makes of a run: other settings, and some of the data sets alone."""

from small_params import complaint, study_plan, tree, write

AT = {"runs/at": {"method": "pgd_at", "threat": {"eps": 0.2}, "training": {"batch_size": 16}}}
OTHER = {
    "datasets/digits-too": {
        "source": "digits",
        "splits": {"validation": 100, "test": 200, "seed": 1},
        "normalisation": {"mean": [0.3], "std": [0.4]},
    },
}


def runs(folder, scale="tiny", **edits):
    found = study_plan(write(folder, tree(**edits)), scale).runs.values()
    return {(name, run.config.dataset.name): run.config for run in found for name in run.names}


def test_a_scale_may_change_a_run_and_no_other_scale_sees_it(tmp_path):
    changes = {"threat": {"eps": 0.05}, "model": {"width": 8}, "training": {"epochs": 7}}
    edits = AT | {"scales/tiny/changes": {"at": changes}}
    here, there = runs(tmp_path / "a", **edits), runs(tmp_path / "b", scale="wide", **edits)
    plain = runs(tmp_path / "c", **AT)
    (key,) = [key for key in plain if key[0] == "at"]
    assert here[key].params["threat"]["eps"] == 0.05
    assert here[key].model.width == 8
    assert (here[key].training.epochs, here[key].training.batch_size) == (7, 16)
    assert there[key].params["threat"]["eps"] == plain[key].params["threat"]["eps"] == 0.2
    assert here["st", key[1]] == plain["st", key[1]]


def test_a_run_may_be_made_on_some_data_sets_alone(tmp_path):
    both = {"scales/tiny/datasets": ["digits", "digits-too"]}
    everywhere = runs(tmp_path / "a", **AT, **OTHER, **both)
    alone = AT | {"runs/at/datasets": ["digits-too"]}
    found = runs(tmp_path / "b", **alone, **OTHER, **both)
    assert everywhere.keys() - found.keys() == {("at", "digits")}


def test_what_cannot_be_is_told(tmp_path):
    cases = {
        "a": ({"scales/tiny/changes": {"att": {}}}, "scales.tiny.changes.att: there is no 'att'"),
        "b": ({"scales/tiny/changes": {"at": {"method": "trades"}}}, "scales.tiny.changes.at: method, init"),
        "c": ({"runs/at/datasets": ["digit"]}, "runs.at.datasets: there is no 'digit' (did you mean"),
        "d": (
            {"runs/at/init": "st", "runs/st/datasets": ["digits-too"]},
            "run 'at' on digits: starts from 'st', which is not made on that data set",
        ),
    }
    for name, (edits, message) in cases.items():
        assert message in complaint(write(tmp_path / name, tree(**AT, **OTHER, **edits)))


def test_what_is_said_of_a_sweep_is_said_of_all_its_runs(tmp_path):
    swept = {"runs/at": {"method": "pgd_at", "sweep": {"attack.steps": [1, 2]}}}
    found = runs(tmp_path, **swept, **{"scales/tiny/changes": {"at": {"attack": {"step_size": 0.07}}}})
    for steps in (1, 2):
        attack = found[f"at-{steps}", "digits"].params["attack"]
        assert (attack["steps"], attack["step_size"]) == (steps, 0.07)
