import time
from pathlib import Path

import pytest

from robustfront.artefacts import Layout, write_text
from robustfront.planning import Plan, load_plan
from robustfront.planning.files import evaluation_files, incomplete
from small_params import tree, write
from study_files import STUDY, split


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results", tmp_path / "checkpoints")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load_plan(write(tmp_path, tree()))


def index(plan: Plan, layout: Layout, run: str) -> Path:
    return layout.run(run) / "eval" / f"{plan.index(run)}.json"


def evaluate(plan: Plan, layout: Layout) -> set[Path]:
    """Leaves empty files as all evaluations would; these files."""
    made = {index(plan, layout, run) for run in plan.runs}
    for run, evaluations in plan.evaluations.items():
        for key, evaluation in evaluations.items():
            made |= {*evaluation_files(layout, run, key, evaluation)}
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return made


def there(layout: Layout) -> set[Path]:
    return {path for path in layout.results.rglob("*") if path.is_file()}


def test_complete_evaluations_are_complete_and_left_alone(plan: Plan, layout: Layout) -> None:
    made = evaluate(plan, layout)
    assert incomplete(plan, layout) == set()
    assert there(layout) == made


@pytest.mark.parametrize(
    "lost", ["clean-*.parquet", "pgd-3-*.safetensors", "autoattack-*.json", "masking-*.json"]
)
def test_a_lost_file_makes_its_run_incomplete_and_no_other(plan: Plan, layout: Layout, lost: str) -> None:
    made, run = evaluate(plan, layout), [*plan.runs][2]
    (path,) = (layout.run(run) / "eval").glob(lost)
    path.unlink()
    assert incomplete(plan, layout) == {run}
    assert made - there(layout) == {path}


def test_without_an_index_nothing_happens(plan: Plan, layout: Layout) -> None:
    """An evaluation that was killed goes on; one that has not begun has no folder."""
    assert incomplete(plan, layout) == set()
    assert not layout.results.exists()
    made, run = evaluate(plan, layout), next(iter(plan.runs))
    index(plan, layout, run).unlink()
    (path,) = (layout.run(run) / "eval").glob("pgd-3-*.parquet")
    path.unlink()
    assert incomplete(plan, layout) == set()
    assert there(layout) == made - {path, index(plan, layout, run)}


def test_what_is_not_wanted_may_be_lost(plan: Plan, layout: Layout, tmp_path: Path) -> None:
    """Of an attack that only another study asks for, the index of this study's evaluations says nothing."""
    more = tree(**{"defaults/suites/pixel/attacks/more": {"kind": "pgd", "steps": 4, "step_size": 0.1}})
    both = write(tmp_path / "both", tree(), second=split(more)[1])
    whole, narrow = load_plan(both), load_plan(both, studies=[STUDY])
    evaluate(whole, layout)
    evaluate(narrow, layout)
    run = next(iter(whole.runs))
    (path,) = (layout.run(run) / "eval").glob("pgd-4-*.parquet")
    path.unlink()
    assert incomplete(narrow, layout) == set()
    assert incomplete(whole, layout) == {run}


def test_a_folder_in_place_of_a_run_stops_nothing(plan: Plan, layout: Layout) -> None:
    write_text(layout.run(next(iter(plan.runs))) / "eval", "a file")
    assert incomplete(plan, layout) == set()


def test_five_thousand_runs_are_looked_at_in_seconds(tmp_path: Path, layout: Layout) -> None:
    """By a tenth of them, in a tenth of the time."""
    rates = [round(0.001 * (1 + number), 3) for number in range(500)]
    sweep = {"method": "standard", "loss": "ce", "sweep": {"training.optimizer.lr": rates}}
    plan = load_plan(write(tmp_path, tree(**{"runs/many": sweep, "scales/wide": ...})))
    made = evaluate(plan, layout)
    began = time.process_time()
    assert incomplete(plan, layout) == set()
    assert time.process_time() - began < 0.5
    assert len(made) == 11 * len(plan.runs) > 5500
