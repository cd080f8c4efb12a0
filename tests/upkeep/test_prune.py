import os
import time

import pytest
from filelock import FileLock
from test_status import made_by_other_code

from robustfront.artefacts import EVALUATIONS, read_json, write_text
from robustfront.checksums import write_record
from robustfront.errors import ArtefactError
from robustfront.upkeep import inventory, prune


def found_by(project) -> list[prune.Orphan]:
    return prune.orphans(project.plans, project.layout, project.reports, project.params)


def orphans(project) -> set[tuple[str, str]]:
    return {(orphan.kind, str(orphan.path)) for orphan in found_by(project)}


def test_nothing_wanted_is_an_orphan(finished_project) -> None:
    assert orphans(finished_project) == set()


def test_what_no_scale_names_is_found_and_removed(finished_project) -> None:
    (projector,) = finished_project.plan.projectors
    (dataset,) = finished_project.plan.datasets
    finished_project.edit(**{"datasets/digits/splits": {"validation": 120, "test": 400}})
    found = orphans(finished_project)
    assert ("projector", f"results/projectors/{projector}") in found
    assert ("data set", f"results/datasets/{dataset}") in found
    assert len([kind for kind, _ in found if kind == "run"]) == 6
    assert not [kind for kind, _ in found if kind == "evaluation"]  # they go with their runs
    prune.remove(found_by(finished_project))
    assert orphans(finished_project) == set()
    assert [*finished_project.layout.results.rglob("*.safetensors")] == []


def test_evaluations_no_suite_asks_for_go_alone_with_the_indices_that_name_them(finished_project) -> None:
    before, kept = finished_project.plan, finished_project.evaluation("clean")
    finished_project.edit(**{"defaults/suites/pixel/threat/eps": 0.2})
    for run, evaluations in before.evaluations.items():
        folder = finished_project.layout.run(run) / "eval"
        files = {
            ("evaluation", str(path)) for key in {*evaluations} - {kept} for path in folder.glob(f"{key}.*")
        }
        assert len(files) == 3 + 3 + 1
        assert files | {("index", str(folder / f"{before.index(run)}.json"))} <= orphans(finished_project)
    assert {kind for kind, _ in orphans(finished_project)} == {"evaluation", "index"}
    assert not [path for _, path in orphans(finished_project) if kept in path]
    prune.remove(found_by(finished_project))
    assert orphans(finished_project) == set()


def test_an_index_that_names_nothing_unwanted_stays(finished_project) -> None:
    """Of fewer attacks, or of one of several studies: still true, and the job need not run again for it."""
    finished_project.edit(
        **{"defaults/suites/pixel/attacks/more": {"kind": "pgd", "steps": 4, "step_size": 0.1}}
    )
    assert orphans(finished_project) == set()
    assert len([*finished_project.eval("").glob("index-*.json")]) == 1
    finished_project.finish()
    assert orphans(finished_project) == set()
    assert len([*finished_project.eval("").glob("index-*.json")]) == 2


def test_a_damaged_index_that_is_not_todays_goes(finished_project) -> None:
    write_text(finished_project.eval("index-123456.json"), "{")
    assert orphans(finished_project) == {("index", str(finished_project.eval("index-123456.json")))}


def test_pages_of_studies_that_are_not_listed_go_and_folders_of_others_do_not(finished_project) -> None:
    for name in ("record.json", "sections.json"):
        write_text(finished_project.reports / f"with-{name[:-5]}" / name, "{}")
    write_text(finished_project.reports / "plots" / "training.csv", "x")
    write_text(finished_project.reports / "mine" / "notes.txt", "x")
    assert orphans(finished_project) == {
        ("report", "reports/with-record"),
        ("report", "reports/with-sections"),
    }


def test_a_study_keeps_its_page_at_scales_that_it_does_not_have(finished_project) -> None:
    finished_project.edit(**{"scales/tiny": ...} | {"scale": "wide"})
    assert "report" not in {kind for kind, _ in orphans(finished_project)}


def test_checkpoints_go_when_their_work_is_done_unless_a_process_holds_them(finished_project) -> None:
    layout, run = finished_project.layout, finished_project.id("st")
    for folder in (layout.checkpoint(run), layout.unfinished(run, EVALUATIONS), layout.checkpoint("nobody")):
        write_text(folder / "lock", "")
    assert {kind for kind, _ in orphans(finished_project)} == {"checkpoint"}
    assert len(orphans(finished_project)) == 3
    with FileLock(layout.checkpoint("nobody") / "lock"):
        assert len(orphans(finished_project)) == 2
    (layout.run(run) / "model.safetensors").unlink()
    finished_project.eval(f"{finished_project.evaluation('clean')}.json").unlink()
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
    folder = layout.unfinished(run, EVALUATIONS)
    write_text(folder / "lock", "")
    made_by_other_code(finished_project, "at")
    with FileLock(folder / "lock"):
        assert prune.stale(finished_project.plan, layout, finished_project.params) == []
        finished_project.edit(**{"runs/at": ...})
        assert ("run", f"results/runs/{run}") not in orphans(finished_project)
    assert ("run", f"results/runs/{run}") in orphans(finished_project)


def test_of_a_link_only_the_link_goes(finished_project, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x" * 2048)
    link = finished_project.layout.run("linked")
    link.symlink_to(tmp_path / "elsewhere")
    (orphan,) = found_by(finished_project)
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
    found = prune.stale(finished_project.plan, finished_project.layout, finished_project.params)
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
    assert [orphan.path.name for orphan in prune.stale(plan, layout, finished_project.params)] == [
        finished_project.id("at")
    ]
    made_by_other_code(finished_project, "st")
    found = {(orphan.kind, orphan.path.name) for orphan in prune.stale(plan, layout, finished_project.params)}
    others = {run for run in plan.runs if run != finished_project.id("lse")}
    assert found == {("run", run) for run in others} | {("projector", key) for key in plan.projectors}


def made_from_other_weights(project, evaluation: str) -> None:
    """The evaluation's record then says so, rightly checked."""
    path = project.eval(f"{evaluation}.json", "lse")
    record = read_json(path)
    name = f"runs/{project.id('lse')}/model.safetensors"
    files = [path.parent / file for file in record.pop("checksums") if file != path.name]
    write_record(path, record | {"made_from": record["made_from"] | {name: "0" * 64}}, files)


def test_of_what_is_out_of_date_single_evaluations_go_with_their_index(finished_project) -> None:
    evaluation = finished_project.evaluation("pgd-3", "lse")
    made_from_other_weights(finished_project, evaluation)
    found = prune.stale(finished_project.plan, finished_project.layout, finished_project.params)
    index = finished_project.plan.index(finished_project.id("lse"))
    assert {(orphan.kind, orphan.path.name) for orphan in found} == {
        *(("evaluation", f"{evaluation}.{suffix}") for suffix in ("parquet", "safetensors", "json")),
        ("index", f"{index}.json"),
    }
    prune.remove(found)
    assert prune.stale(finished_project.plan, finished_project.layout, finished_project.params) == []
    missing = inventory.missing(finished_project.plan, finished_project.layout)
    assert [item.kind for item in missing] == ["evaluation", "index"]


def test_of_two_out_of_date_evaluations_the_index_is_listed_once(finished_project) -> None:
    for label in ("pgd-3", "masking"):
        made_from_other_weights(finished_project, finished_project.evaluation(label, "lse"))
    found = prune.stale(finished_project.plan, finished_project.layout, finished_project.params)
    assert len(found) == len({*found}) == 3 + 1 + 1


def test_an_out_of_date_evaluation_of_a_run_that_is_being_evaluated_stays(finished_project) -> None:
    made_from_other_weights(finished_project, finished_project.evaluation("pgd-3", "lse"))
    folder = finished_project.layout.unfinished(finished_project.id("lse"), EVALUATIONS)
    write_text(folder / "lock", "")
    with FileLock(folder / "lock"):
        assert prune.stale(finished_project.plan, finished_project.layout, finished_project.params) == []
    assert prune.stale(finished_project.plan, finished_project.layout, finished_project.params)
