import os
import time

import pytest
from filelock import FileLock
from test_status import made_by_other_code

from robustfront.artefacts import write_text
from robustfront.errors import ArtefactError
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


def test_a_run_that_is_being_evaluated_stays(finished_project) -> None:
    layout, run = finished_project.layout, finished_project.id("at")
    folder = layout.unfinished(run, "some-suite")
    write_text(folder / "lock", "")
    made_by_other_code(finished_project, "at")
    with FileLock(folder / "lock"):
        assert prune.stale(finished_project.plan, layout) == []
        finished_project.edit(**{"runs/at": ...})
        assert ("run", f"results/runs/{run}") not in orphans(finished_project)
    assert ("run", f"results/runs/{run}") in orphans(finished_project)


def test_of_a_link_only_the_link_goes(finished_project, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x" * 2048)
    link = finished_project.layout.run("linked")
    link.symlink_to(tmp_path / "elsewhere")
    (orphan,) = prune.orphans(finished_project.plans, finished_project.layout, finished_project.reports)
    assert (orphan.path, orphan.bytes) == (link, 0)
    prune.remove([orphan])
    assert not link.is_symlink()
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_what_cannot_be_removed_is_named(finished_project, monkeypatch) -> None:
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(prune.shutil, "rmtree", refuse)
    orphan = prune.Orphan("run", finished_project.layout.run(finished_project.id("at")))
    with pytest.raises(ArtefactError, match=rf"{orphan.path}: cannot be removed: Permission denied; fix"):
        prune.remove([orphan])


def test_a_training_begun_from_a_stale_run_starts_again(finished_project) -> None:
    made_by_other_code(finished_project, "st")
    child = finished_project.layout.checkpoint(finished_project.id("at"))
    write_text(child / "checkpoint.safetensors", "")
    found = prune.stale(finished_project.plan, finished_project.layout)
    assert prune.Orphan("checkpoint", child) in found


def test_temporary_files_go_once_they_are_old(finished_project) -> None:
    path = finished_project.layout.run(finished_project.id("st")) / ".model.safetensors.abcd_123.safetensors"
    path.write_text("half")
    assert orphans(finished_project) == set()
    for name in (".gitkeep", ".dvcignore", ".my.notes"):
        path.with_name(name).write_text("not ours")
        os.utime(path.with_name(name), (time.time() - 7200,) * 2)
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
