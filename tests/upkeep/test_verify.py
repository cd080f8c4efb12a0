import pytest

from robustfront.artefacts import read_json, write_json, write_text
from robustfront.upkeep.verify import Verdict, render, verify
from study_files import STUDY


def check(project) -> Verdict:
    return verify(project.layout.results, project.reports)


def test_an_untouched_project_is_intact(finished_project) -> None:
    found = check(finished_project)
    assert (found.damaged, found.unrecorded) == ([], [])
    files = {path for path in finished_project.layout.results.rglob("*") if path.is_file()}
    files = {path for path in files if path.parent.name != "projects"}  # notes are no results
    files |= {*finished_project.reports.rglob("*.*")}
    assert {*found.intact} == files
    size = round(sum(path.stat().st_size for path in files) / 1024)
    assert render(found) == f"{len(files)} files intact ({size} KiB), 0 damaged, 0 without a checksum"


@pytest.mark.parametrize(
    "pattern",
    [
        "runs/*/model.safetensors",
        "runs/*/history.csv",
        "runs/*/manifest.json",
        "runs/*/eval/*.parquet",
        "runs/*/eval/*.safetensors",
        "runs/*/eval/clean-*.json",
        "runs/*/eval/masking-*.json",
        "runs/*/eval/index-*.json",
        "projectors/*/projector.safetensors",
        "projectors/*/projector.json",
        "datasets/*/images.safetensors",
        "datasets/*/manifest.json",
    ],
)
def test_every_kind_of_file_is_covered(finished_project, pattern: str) -> None:
    path = sorted(finished_project.layout.results.glob(pattern))[0]
    content = path.read_bytes()
    if path.suffix == ".json":
        write_json(path, read_json(path) | {"edited": True})
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (line,) = check(finished_project).damaged
    assert line.startswith(f"{path}: not what ")
    path.unlink()
    if path.suffix != ".json" or path.stem.startswith(("clean", "masking")):
        assert any(f"{path}: missing" in line for line in check(finished_project).damaged)


@pytest.mark.parametrize("folder", ["reports", f"reports/{STUDY}"])
def test_reports_are_covered(finished_project, folder: str) -> None:
    write_text(finished_project.folder / folder / "index.html", "better numbers")
    (line,) = check(finished_project).damaged
    assert line.startswith(f"{folder}/index.html: not what {folder}/record.json vouches for")


def test_what_did_not_end_well_is_no_artefact(finished_project) -> None:
    write_text(finished_project.layout.failure(finished_project.id("at")), "{}")
    found = check(finished_project)
    assert (found.damaged, found.unrecorded) == ([], [])


def test_an_evaluation_that_an_index_vouches_for_is_missed(finished_project) -> None:
    evaluation = finished_project.evaluation("pgd-3")
    for path in finished_project.eval("").glob(f"{evaluation}.*"):
        path.unlink()
    index = finished_project.eval(f"{finished_project.plan.index(finished_project.id('st'))}.json")
    lost = index.with_name(f"{evaluation}.json")
    told = f"{lost}: missing, {index} vouches for it; run `snakemake` to make it"
    assert check(finished_project).damaged == [told]


def test_half_a_record_is_damaged(finished_project) -> None:
    path = sorted(finished_project.layout.results.glob("runs/*/manifest.json"))[0]
    path.write_text(path.read_text()[:50])
    assert any(line.startswith(f"{path}: damaged") for line in check(finished_project).damaged)


def test_old_results_without_checksums_are_reported_not_failed(finished_project) -> None:
    run = finished_project.layout.run(finished_project.id("lse"))
    evaluation = finished_project.evaluation("masking", "lse")
    for path in (run / "manifest.json", run / "eval" / f"{evaluation}.json"):
        content = read_json(path)
        weights = content.pop("checksums").get("model.safetensors")
        write_json(path, content | ({"weights_sha256": weights} if weights else {}))
    found = check(finished_project)
    assert found.damaged == []
    names = {"manifest.json", "history.csv", f"{evaluation}.json"}
    assert {path.name for path in found.unrecorded} == names
    assert run / "model.safetensors" in found.intact


def test_an_evaluation_of_other_weights_is_told(finished_project) -> None:
    run = finished_project.layout.run(finished_project.id("lse"))
    donor = finished_project.layout.run(finished_project.id("at"))
    for name in ("model.safetensors", "history.csv", "manifest.json"):
        (run / name).write_bytes((donor / name).read_bytes())
    damaged = check(finished_project).damaged
    evaluations = finished_project.plan.evaluations[run.name]
    assert len(damaged) == len(evaluations) == 4
    for line, evaluation in zip(damaged, sorted(evaluations), strict=True):
        text = (
            f"{run}/eval/{evaluation}.json: was made from another runs/{run.name}/model.safetensors than lies"
        )
        assert line.startswith(text)
