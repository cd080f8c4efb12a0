"""Projects with the same results folder."""

import os
import shutil
from pathlib import Path

import pytest
from test_prune import found_by, orphans
from test_status import made_by_other_code
from text_project import TextProject

from robustfront.artefacts import EVALUATIONS, read_json, write_text
from robustfront.errors import ArtefactError
from robustfront.upkeep import prune
from robustfront.upkeep.neighbours import abandoned, register
from small_params import tree
from study_files import write

OTHER = {"runs/at/training": {"epochs": 3}, "defaults/suites/pixel/threat/eps": 0.2}


@pytest.fixture
def neighbour(finished_project, tmp_path: Path) -> TextProject:
    """A finished project in another folder that shares results by a link: one run, all evaluations differ."""
    folder = tmp_path / "neighbour"
    folder.mkdir()
    (folder / "results").symlink_to(tmp_path / "project" / "results")
    write(folder, tree(**OTHER))
    project = TextProject(folder)
    project.finish()
    return project


def notes(project) -> list[Path]:
    return sorted((project.layout.results / "projects").glob("*.json"))


def test_two_projects_protect_all_that_the_other_wants(finished_project, neighbour) -> None:
    assert finished_project.id("at") != neighbour.id("at")
    assert len(notes(finished_project)) == 2
    assert orphans(finished_project) == orphans(neighbour) == set()


def test_a_stale_run_that_another_project_wants_stays(finished_project, neighbour) -> None:
    """Others may start from it there, which would then be of weights that are no more."""
    for name in ("st", "trades"):
        made_by_other_code(finished_project, name)
    write(neighbour.folder, tree(**OTHER, **{"runs/trades": ...}))
    neighbour.reread()
    register(neighbour.plans, neighbour.params, neighbour.layout.results, neighbour.reports)
    found = prune.stale(finished_project.plan, finished_project.layout, finished_project.params)
    assert {orphan.path.name for orphan in found if orphan.kind == "run"} == {finished_project.id("trades")}


def test_what_a_project_no_longer_wants_goes_and_what_both_had_stays(finished_project, neighbour) -> None:
    run, shared = neighbour.id("at"), neighbour.id("st")
    clean = neighbour.evaluation("clean")
    write(neighbour.folder, tree(**{"runs/at": ...}))
    neighbour.reread()
    register(neighbour.plans, neighbour.params, neighbour.layout.results, neighbour.reports)
    found = orphans(finished_project)
    assert ("run", f"results/runs/{run}") in found
    assert len([path for kind, path in found if kind == "evaluation" and shared in path]) == 3 + 3 + 1
    assert not [path for kind, path in found if clean in path]
    assert len([path for kind, path in found if kind == "run"]) == 1
    assert {str(Path(path).relative_to(neighbour.folder)) for _, path in orphans(neighbour)} == {
        path for _, path in found
    }


def test_analyses_projectors_and_data_sets_of_another_are_protected(finished_project, neighbour) -> None:
    surfaces = {"surfaces": {"kind": "landscape", "runs": ["st"], "span": 0.1}}
    other = {"datasets/digits/splits": {"validation": 100, "test": 300}, "defaults/analyses": surfaces}
    write(neighbour.folder, tree(**other))
    neighbour.reread()
    neighbour.finish()
    (projector,), (dataset,), (analysis,) = (
        neighbour.plan.projectors,
        neighbour.plan.datasets,
        neighbour.plan.analyses,
    )
    names = {orphan.path.name for orphan in found_by(finished_project)}
    assert not names & {projector, dataset, f"{analysis}.json", f"{analysis}.safetensors"}
    for note in notes(finished_project):
        if read_json(note)["params"] == str(neighbour.params.resolve()):
            note.unlink()
    names = {orphan.path.name for orphan in found_by(finished_project)}
    assert names >= {projector, dataset}


def test_unfinished_work_of_another_is_protected(finished_project, neighbour) -> None:
    """Where checkpoints lie beside the results, whoever made them."""
    run, shared = neighbour.id("at"), neighbour.id("st")
    (finished_project.layout.run(run) / "model.safetensors").unlink()
    finished_project.eval(f"{neighbour.evaluation('pgd-3')}.json").unlink()
    kept = {
        finished_project.layout.checkpoint(run),
        finished_project.layout.unfinished(shared, EVALUATIONS),
    }
    for folder in kept:
        write_text(folder / "lock", "")
    assert orphans(finished_project) == set()


def test_two_params_files_in_one_folder_are_two_projects(finished_project) -> None:
    """They share results, reports and checkpoints."""
    second = TextProject(finished_project.folder, "second.yaml")
    shutil.copy(finished_project.params, second.params)
    second.add_study("second", **{"runs/at/training": {"epochs": 3}})
    second.drop_study("small")
    second.finish()
    assert orphans(finished_project) == orphans(second) == set()
    second.params.unlink()
    (note,) = (path for path in notes(finished_project) if "second.yaml" in path.read_text())
    assert orphans(finished_project) == {("note of a project", str(note))}
    note.unlink()
    run = second.id("second/at")
    assert orphans(finished_project) == {("report", "reports/second"), ("run", f"results/runs/{run}")}


def test_a_project_that_was_moved_protects_its_runs_until_its_old_note_is_pruned(
    finished_project, neighbour, tmp_path: Path
) -> None:
    run = neighbour.id("at")
    neighbour.folder.rename(tmp_path / "moved")
    (note,) = (path for path in notes(finished_project) if "neighbour" in path.read_text())
    assert orphans(finished_project) == {("note of a project", str(note))}
    moved = TextProject(tmp_path / "moved")
    register(moved.plans, moved.params, moved.layout.results, moved.reports)  # as `snakemake` does
    prune.remove(found_by(finished_project))
    assert not note.exists()
    assert orphans(finished_project) == set()
    moved.params.unlink()
    prune.remove(found_by(finished_project))
    assert ("run", f"results/runs/{run}") in orphans(finished_project)


def test_a_copied_project_is_not_bound_by_the_original(finished_project, tmp_path: Path) -> None:
    """Its results are its own: the note that came along is about those of the original."""
    run = finished_project.id("at")
    copy = TextProject(Path(shutil.copytree(tmp_path / "project", tmp_path / "copy", symlinks=True)))
    write(copy.folder, tree(**{"runs/at": ...}))
    (note,) = notes(copy)
    assert orphans(copy) == {("note of a project", str(note)), ("run", str(copy.layout.run(run)))}
    assert orphans(finished_project) == set()


def test_the_original_of_a_copy_that_is_away_counts(finished_project, tmp_path: Path) -> None:
    """Results that were moved, or are mounted elsewhere on the machine of the other project."""
    copy = TextProject(Path(shutil.copytree(tmp_path / "project", tmp_path / "copy")))
    write(copy.folder, tree(**{"runs/at": ...}))
    (tmp_path / "project").rename(tmp_path / "away")
    os.chdir(tmp_path)
    (note,) = notes(copy)
    assert orphans(copy) == {("note of a project", str(note))}


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"params": 3}', "null"])
def test_where_the_note_of_another_is_damaged_nothing_is_pruned(
    finished_project, neighbour, damage: str
) -> None:
    (note,) = (path for path in notes(finished_project) if "neighbour" in path.read_text())
    write_text(note, damage)
    finished_project.edit(**{"runs/at": ...})
    with pytest.raises(ArtefactError, match=rf"{note}: damaged"):
        orphans(finished_project)
    with pytest.raises(ArtefactError, match=rf"{note}: damaged"):
        abandoned(finished_project.params, finished_project.layout.results)
    register(neighbour.plans, neighbour.params, neighbour.layout.results, neighbour.reports)
    assert ("run", f"results/runs/{neighbour.id('at')}") not in orphans(finished_project)


def test_a_note_is_written_anew_only_if_it_says_something_else(finished_project) -> None:
    (note,) = notes(finished_project)
    before = note.stat().st_ino
    arguments = finished_project.params, finished_project.layout.results, finished_project.reports
    register(finished_project.plans, *arguments)
    assert note.stat().st_ino == before
    finished_project.edit(**{"runs/at": ...})
    register(finished_project.plans, *arguments)
    assert note.stat().st_ino != before
    assert notes(finished_project) == [note]
