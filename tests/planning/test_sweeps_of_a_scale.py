import pytest

from robustfront.planning import load_plan
from robustfront.reporting.published import read_rows
from small_params import complaint, study_plan, tree, write

WIDTHS = {"model.hidden": ["2x", "4x", "8x"]}
HIDDEN = {
    "runs/st-wide": {"method": "standard", "loss": "ce", "sweep": WIDTHS},
    "runs/npda-wide": {
        "method": "npda",
        "init": "st-wide",
        "generator": "pgd",
        "beta": 1.5,
        "sweep": WIDTHS,
    },
}


def plan_of(folder, *, scale="tiny", **edits):
    return study_plan(write(folder, tree(**edits)), scale)


def names(plan):
    return [name for run in plan.runs.values() for name in run.names]


def test_a_hidden_layer_is_so_many_times_as_wide_as_its_features(tmp_path):
    runs = {run.names[0]: run.config.model for run in plan_of(tmp_path, **HIDDEN).runs.values()}
    assert [runs[f"st-wide-{times}x"].hidden for times in (2, 4, 8)] == [64, 128, 256]  # of 8 * 4
    absolute = {"runs/st-64": {"method": "standard", "loss": "ce", "model": {"hidden": 64}}}
    both = plan_of(tmp_path, **HIDDEN, **absolute)
    assert ["st-wide-2x", "st-64"] in [run.names for run in both.runs.values()]


def test_the_width_of_a_hidden_layer_follows_the_scale(tmp_path):
    runs = {run.names[0]: run.config.model for run in plan_of(tmp_path, scale="wide", **HIDDEN).runs.values()}
    assert runs["npda-wide-2x"].hidden == 128


@pytest.mark.parametrize("hidden", ["x", "0x", "2.5x", "-2x", "2X", "two"])
def test_a_hidden_layer_of_another_form_is_refused(tmp_path, hidden):
    found = complaint(write(tmp_path, tree(**{"runs/st/model": {"hidden": hidden}})))
    assert found.startswith(f"runs.st.model.hidden = '{hidden}': must be a whole number")


def test_a_sweep_that_starts_from_a_sweep_starts_from_the_run_of_the_same_value(tmp_path):
    plan = plan_of(tmp_path, **HIDDEN)
    runs = {name: run for run in plan.runs.values() for name in run.names}
    for times in (2, 4, 8):
        assert runs[f"npda-wide-{times}x"].config.init == runs[f"st-wide-{times}x"].id


def test_a_sweep_over_other_values_than_its_start_is_refused(tmp_path):
    edits = HIDDEN | {"runs/npda-wide": HIDDEN["runs/npda-wide"] | {"sweep": {"model.hidden": ["2x", "3x"]}}}
    found = complaint(write(tmp_path, tree(**edits)))
    assert found.startswith("runs.npda-wide.init: 'st-wide' is a sweep; name one of its runs")


def test_a_scale_may_run_the_ends_of_sweeps_only(tmp_path):
    beta = {"runs/trades/sweep": {"beta": [0.5, 1, 2, 5]}}
    assert "trades-2" in names(plan_of(tmp_path, **beta))
    ends = plan_of(tmp_path, **beta, **{"scales/tiny/sweeps": "ends"})
    assert [name for name in names(ends) if name.startswith("trades")] == ["trades-0.5", "trades-5"]
    named = {"scales/tiny/sweeps": "ends", "scales/tiny/runs": ["st", "trades", "trades-2"]}
    assert names(plan_of(tmp_path, **beta, **named)) == ["st", "trades-0.5", "trades-5", "trades-2"]


def test_every_row_of_npats_tables_is_a_run_at_paper_scale_and_shared_ones_are_trained_once(project):
    plan = load_plan(project / "params.yaml", "paper").studies["npat"]
    tables = read_rows(project / "src" / "robustfront" / "studies" / "npat" / "rows.yaml")
    rows = {row.run for table in tables.values() for row in table}
    cifar10 = [run for run in plan.runs.values() if run.config.dataset.name == "cifar10"]
    in_tables = {run.id: run for run in cifar10 if rows & set(run.names)}
    starts = {run.config.init for run in in_tables.values()} - {None, *in_tables}
    assert rows <= set(names(plan))
    assert len(in_tables) == 15 + 2 * 9 + 2 * 3  # Table 1, nine more betas, three more hidden sizes
    assert len(starts) == 3  # standard models with a hidden layer
    svhn = [run for run in plan.runs.values() if run.config.dataset.name == "svhn"]
    assert len(cifar10) == len(svhn) == len(in_tables) + len(starts) + 1  # and the control npgd-frozen
    assert [run.names for run in cifar10 if len(run.names) > 1] == [
        ["npda-pgd", "npda-beta-1.5"],
        ["npgd-pgd", "npgd-beta-1.5"],
    ]
    hidden = {run.config.model.hidden for run in cifar10}
    assert hidden == {None, 1024, 2048, 4096}


def test_small_scales_have_the_ends_and_the_middle_of_npats_sweeps(project):
    planned = set(names(load_plan(project / "params.yaml", "digits").studies["npat"]))
    for method in ("npda", "npgd"):
        assert {f"{method}-beta-0.5", f"{method}-pgd", f"{method}-beta-5"} <= planned
        assert {f"{method}-hidden-2x", f"{method}-hidden-8x"} <= planned
        assert f"{method}-beta-2" not in planned
