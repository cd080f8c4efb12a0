import os
import time

from filelock import FileLock
from test_status import made_by_other_code

from robustfront.artefacts import write_text
from robustfront.upkeep import prune


def orphans(project) -> set[tuple[str, str]]:
    found = prune.orphans(project.plans, project.layout, project.reports)
    return {(orphan.kind, str(orphan.path)) for orphan in found}


def test_nothing_wanted_is_an_orphan(finished_project) -> None:
    assert orphans(finished_project) == set()


def test_what_no_scale_names_is_found_and_removed(finished_project) -> None:
    (projector,) = finished_project.plan.projectors
    run, (dataset,) = finished_project.id("st"), finished_project.plan.datasets
    write_text(finished_project.reports / "figures" / "training" / f"{run}.svg", "x")
    finished_project.edit(**{"datasets/digits/splits": {"validation": 120, "test": 400}})
    found = orphans(finished_project)
    assert ("projector", f"results/projectors/{projector}") in found
    assert ("data set", f"results/datasets/{dataset}") in found
    assert ("figure", f"reports/figures/training/{run}.svg") in found
    assert len([kind for kind, _ in found if kind == "run"]) == 6
    assert not [kind for kind, _ in found if kind == "evaluation"]  # they go with their runs
    prune.remove(prune.orphans(finished_project.plans, finished_project.layout, finished_project.reports))
    assert orphans(finished_project) == set()
    assert [*finished_project.layout.results.rglob("*.safetensors")] == []


def test_an_evaluation_no_suite_asks_for_goes_alone(finished_project) -> None:
    (suite,) = finished_project.plan.suites
    finished_project.edit(**{"defaults/suites/pixel/threat/eps": 0.2})
    found = orphans(finished_project)
    run = finished_project.id("st")
    assert ("evaluation", f"results/runs/{run}/eval/{suite}.json") in found
    assert ("evaluation", f"results/runs/{run}/eval/{suite}.parquet") in found
    assert {kind for kind, _ in found} == {"evaluation"}


def test_checkpoints_go_when_their_work_is_done_unless_a_process_holds_them(finished_project) -> None:
    layout, run = finished_project.layout, finished_project.id("st")
    (suite,) = finished_project.plan.suites
    for folder in (layout.checkpoint(run), layout.unfinished(run, suite), layout.checkpoint("nobody")):
        write_text(folder / "lock", "")
    assert {kind for kind, _ in orphans(finished_project)} == {"checkpoint"}
    assert len(orphans(finished_project)) == 3
    with FileLock(layout.checkpoint("nobody") / "lock"):
        assert len(orphans(finished_project)) == 2
    (layout.run(run) / "model.safetensors").unlink()
    (layout.run(run) / "eval" / f"{suite}.json").unlink()
    assert orphans(finished_project) == {("checkpoint", "checkpoints/nobody")}


def test_the_run_of_a_running_training_stays(finished_project) -> None:
    folder = finished_project.layout.checkpoint("nobody")
    write_text(finished_project.layout.run("nobody") / "history.csv", "x")
    write_text(folder / "lock", "")
    with FileLock(folder / "lock"):
        assert orphans(finished_project) == set()
    assert ("run", "results/runs/nobody") in orphans(finished_project)


def test_temporary_files_go_once_they_are_old(finished_project) -> None:
    path = finished_project.layout.run(finished_project.id("st")) / ".model.safetensors.abc.safetensors"
    path.write_text("half")
    assert orphans(finished_project) == set()
    os.utime(path, (time.time() - 7200,) * 2)
    assert orphans(finished_project) == {("temporary file", str(path))}


def test_stale_runs_go_with_all_that_starts_from_them(finished_project) -> None:
    made_by_other_code(finished_project, "at")
    plan, layout = finished_project.plan, finished_project.layout
    assert [orphan.path.name for orphan in prune.stale(plan, layout)] == [finished_project.id("at")]
    made_by_other_code(finished_project, "st")
    found = {(orphan.kind, orphan.path.name) for orphan in prune.stale(plan, layout)}
    others = {run for run in plan.runs if run != finished_project.id("lse")}
    assert found == {("run", run) for run in others} | {("projector", key) for key in plan.projectors}


def test_only_what_is_out_of_date_goes(finished_project) -> None:
    run, (suite,) = finished_project.id("lse"), finished_project.plan.suites
    path = finished_project.layout.run(run) / "eval" / f"{suite}.json"
    text = path.read_text()
    made = text.index("model.safetensors", text.index("made_from"))
    start = text.index(': "', made) + 3
    path.write_text(text[:start] + "0" * 64 + text[start + 64 :])
    found = prune.stale(finished_project.plan, finished_project.layout)
    assert {orphan.path.name for orphan in found} == {f"{suite}.json", f"{suite}.parquet"}
