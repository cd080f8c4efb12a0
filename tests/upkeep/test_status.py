from pathlib import Path

import pytest

from robustfront.artefacts import read_json, write_text
from robustfront.checksums import amend, write_record
from robustfront.upkeep.prune import stale
from robustfront.upkeep.status import Status, render, status

pytestmark = pytest.mark.usefixtures("old_pages")


def look(project) -> Status:
    return status(project.plan, project.plans, project.layout, project.reports, project.params)


def made_by_other_code(project, name: str) -> Path:
    """The run's manifest, with other sources."""
    path = project.layout.run(project.id(name)) / "manifest.json"
    content = read_json(path) | {"sources": "0123456789abcdef"}
    write_record(path, content, [path.parent / file for file in ("model.safetensors", "history.csv")])
    return path


def test_a_finished_project_is_clean(finished_project) -> None:
    found = look(finished_project)
    assert found.is_clean
    assert render(found, finished_project.plan) == (
        "scale tiny: 1 studies, 6 runs, 24 evaluations\nreports: current"
    )


@pytest.mark.parametrize("page", ["small", "contents"])
def test_an_old_report_is_told_and_clean_it_is_not(finished_project, old_pages: set[str], page: str) -> None:
    old_pages.add(page)
    found = look(finished_project)
    assert (found.missing, found.old_reports, found.is_complete) == ([], [page], False)
    assert render(found, finished_project.plan).endswith(
        f"reports: out of date or missing: {page}\n`snakemake` makes what is missing"
    )


def test_a_lost_file_is_told_with_its_evaluation_alone(finished_project) -> None:
    evaluation, run = finished_project.evaluation("pgd-3"), finished_project.id("trades")
    finished_project.eval(f"{evaluation}.safetensors", "trades").unlink()
    found = look(finished_project)
    assert [(item.kind, item.id) for item in found.missing] == [("evaluation", f"{run} {evaluation}")]
    assert not found.is_complete
    text = render(found, finished_project.plan)
    assert f"missing: 1 evaluation\n  evaluation {run} {evaluation}\n" in text


def test_one_attack_more_is_one_evaluation_and_an_index_of_each_run(finished_project) -> None:
    more = {"kind": "pgd", "steps": 4, "step_size": 0.1}
    finished_project.edit(**{"defaults/suites/pixel/attacks/more": more})
    text = render(look(finished_project), finished_project.plan)
    assert "\nmissing: 6 evaluations, 6 indices\n" in text


def test_a_lost_projector_is_missing_though_what_used_it_is_done(finished_project) -> None:
    (projector,) = finished_project.plan.projectors
    (finished_project.layout.projector(projector) / "projector.json").unlink()
    assert [(item.kind, item.id) for item in look(finished_project).missing] == [("projector", projector)]


def test_runs_of_other_code_are_stale_and_not_missing(finished_project) -> None:
    made_by_other_code(finished_project, "at")
    found = look(finished_project)
    assert (found.missing, [*found.stale]) == ([], [finished_project.id("at")])
    assert found.stale[finished_project.id("at")][0] == "0123456789abcdef"
    assert not found.is_clean


@pytest.mark.parametrize("label", ["clean", "masking", "autoattack-standard"])
def test_evaluations_of_other_code_are_stale_one_by_one(finished_project, label: str) -> None:
    evaluation = finished_project.evaluation(label)
    path = finished_project.eval(f"{evaluation}.json")
    amend(path, sources="0123456789abcdef")
    found = look(finished_project)
    assert (found.missing, found.stale, [*found.stale_parts]) == ([], {}, [path])
    assert not found.is_clean
    assert "stale by code: 1; never redone" in (text := render(found, finished_project.plan))
    assert f"\n  {path}: sources 0123456789abcdef, now {found.stale_parts[path][1]}\n" in text
    assert render(found, finished_project.plan).endswith("reports: current")
    gone = {
        (orphan.kind, orphan.path.name)
        for orphan in stale(finished_project.plan, finished_project.layout, finished_project.params)
    }
    index = finished_project.plan.index(finished_project.id("st"))
    suffixes = {"json"} if label == "masking" else {"parquet", "safetensors", "json"}
    assert gone == {
        *(("evaluation", f"{evaluation}.{suffix}") for suffix in suffixes),
        ("index", f"{index}.json"),
    }


def test_analyses_of_other_code_are_stale(finished_project) -> None:
    surfaces = {"surfaces": {"kind": "landscape", "runs": ["st"], "span": 0.1}}
    finished_project.edit(**{"defaults/analyses": surfaces})
    finished_project.finish()
    assert look(finished_project).is_clean
    ((run, analysis),) = finished_project.plan.analysis_jobs
    path = finished_project.layout.analysis(run, f"{analysis}.json")
    amend(path, sources="0123456789abcdef")
    assert [*look(finished_project).stale_parts] == [path]
    gone = {
        orphan.path
        for orphan in stale(finished_project.plan, finished_project.layout, finished_project.params)
    }
    assert gone == {path, path.with_suffix(".safetensors")}


def test_evaluations_made_from_other_weights_are_out_of_date(finished_project) -> None:
    folder = finished_project.layout.run(finished_project.id("at"))
    write_text(folder / "model.safetensors", "trained again, differently")
    path = folder / "manifest.json"
    files = [folder / name for name in ("model.safetensors", "history.csv")]
    write_record(path, read_json(path), files)
    found = look(finished_project)
    inputs = [f"runs/{folder.name}/model.safetensors"]
    evaluations = finished_project.plan.evaluations[folder.name]
    assert found.outdated == {folder / "eval" / f"{key}.json": inputs for key in evaluations}
    assert not found.is_clean
    text = render(found, finished_project.plan)
    assert "out of date: 4; `robustfront prune --stale` makes them new\n" in text


def test_runs_of_another_scale_are_no_orphans(finished_project) -> None:
    wide = next(iter(finished_project.plans[1].runs))
    write_text(finished_project.layout.run(wide) / "config.yaml", "x")
    assert look(finished_project).orphans == []
    write_text(finished_project.layout.run("nobody") / "config.yaml", "x")
    assert "orphans: 1, 0 KiB; " in render(look(finished_project), finished_project.plan)


def test_runs_of_another_study_are_missing_under_its_name_and_no_orphans(finished_project) -> None:
    finished_project.add_study("second", **{"runs/at/training": {"epochs": 3}})
    counts = [(item.kind, item.id.split()[0]) for item in look(finished_project).missing]
    (new,) = (run.id for run in finished_project.plan.runs.values() if run.names == ["second/at"])
    assert {*counts} == {("run", new), ("evaluation", new), ("index", new)}
    finished_project.finish()
    assert look(finished_project).is_clean
    finished_project.drop_study("second")
    found = {(orphan.kind, orphan.path.name) for orphan in look(finished_project).orphans}
    assert found == {("run", new), ("report", "second")}
