from pathlib import Path

from robustfront.artefacts import read_json, write_text
from robustfront.checksums import write_record
from robustfront.upkeep.status import Status, render, status


def look(project) -> Status:
    return status(project.plan, project.plans, project.layout, project.reports, project.folder)


def made_by_other_code(project, name: str) -> Path:
    """The run's manifest, with other sources."""
    path = project.layout.run(project.id(name)) / "manifest.json"
    content = read_json(path) | {"sources": "0123456789abcdef"}
    write_record(path, content, [path.parent / file for file in ("model.safetensors", "history.csv")])
    return path


def test_a_finished_project_is_clean(finished_project) -> None:
    found = look(finished_project)
    assert found.is_clean
    assert render(found, finished_project.plan) == "scale tiny: 6 runs, 1 suites\nreport: current"


def test_a_missing_file_is_told_and_makes_the_report_old(finished_project) -> None:
    (suite,) = finished_project.plan.suites
    run = finished_project.id("trades")
    (finished_project.layout.run(run) / "eval" / f"{suite}.json").unlink()
    found = look(finished_project)
    assert [(item.kind, item.id) for item in found.missing] == [("evaluation", f"{run} {suite}")]
    assert not found.is_complete
    text = render(found, finished_project.plan)
    assert f"missing: 1 evaluation\n  evaluation {run} {suite}\n" in text
    assert text.endswith("report: out of date or missing\n`snakemake` makes what is missing")


def test_a_projector_is_missing_only_while_something_needs_it(finished_project) -> None:
    (projector,) = finished_project.plan.projectors
    (finished_project.layout.projector(projector) / "projector.json").unlink()
    assert look(finished_project).missing == []
    (finished_project.layout.run(finished_project.id("npgd")) / "model.safetensors").unlink()
    assert {item.kind for item in look(finished_project).missing} == {"projector", "run"}


def test_runs_of_other_code_are_stale_and_not_missing(finished_project) -> None:
    made_by_other_code(finished_project, "at")
    found = look(finished_project)
    assert (found.missing, [*found.stale]) == ([], [finished_project.id("at")])
    assert found.stale[finished_project.id("at")][0] == "0123456789abcdef"
    assert not found.is_clean


def test_what_was_made_from_other_weights_is_out_of_date(finished_project) -> None:
    folder = finished_project.layout.run(finished_project.id("at"))
    write_text(folder / "model.safetensors", "trained again, differently")
    path = folder / "manifest.json"
    files = [folder / name for name in ("model.safetensors", "history.csv")]
    write_record(path, read_json(path), files)
    found = look(finished_project)
    (suite,) = finished_project.plan.suites
    inputs = [f"runs/{folder.name}/model.safetensors"]
    assert found.outdated == {folder / "eval" / f"{suite}.json": inputs}
    assert not found.is_clean
    assert not found.report_is_current


def test_runs_of_another_scale_are_no_orphans(finished_project) -> None:
    wide = next(iter(finished_project.plans[1].runs))
    write_text(finished_project.layout.run(wide) / "config.yaml", "x")
    assert look(finished_project).orphans == []
    write_text(finished_project.layout.run("nobody") / "config.yaml", "x")
    assert "orphans: 1, 0 KiB; " in render(look(finished_project), finished_project.plan)


def test_a_comment_in_params_leaves_the_report_current_a_name_does_not(finished_project) -> None:
    path = finished_project.params
    path.write_text(path.read_text() + "\n# a comment\n")
    del finished_project.plan
    assert look(finished_project).report_is_current
    finished_project.edit(**{"scales/tiny/note": "another"})
    assert not look(finished_project).report_is_current
