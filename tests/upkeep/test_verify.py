import pytest

from robustfront.artefacts import read_json, write_json, write_text
from robustfront.upkeep.verify import Verdict, render, verify


def check(project) -> Verdict:
    return verify(project.layout.results, project.reports)


def test_an_untouched_project_is_intact(finished_project) -> None:
    found = check(finished_project)
    assert (found.damaged, found.unrecorded) == ([], [])
    files = {path for path in finished_project.layout.results.rglob("*") if path.is_file()}
    files |= {finished_project.reports / name for name in ("index.html", "record.json")}
    assert {*found.intact} == files
    size = sum(path.stat().st_size for path in files) // 1024
    assert render(found) == f"{len(files)} files intact ({size} KiB), 0 damaged, 0 without a checksum"


@pytest.mark.parametrize(
    "pattern",
    [
        "runs/*/model.safetensors",
        "runs/*/history.csv",
        "runs/*/manifest.json",
        "runs/*/eval/*.parquet",
        "runs/*/eval/*.json",
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
    if path.suffix != ".json":
        assert any(f"{path}: missing" in line for line in check(finished_project).damaged)


def test_a_report_is_covered(finished_project) -> None:
    write_text(finished_project.reports / "index.html", "better numbers")
    (line,) = check(finished_project).damaged
    assert line.startswith("reports/index.html: not what reports/record.json vouches for")


def test_half_a_record_is_damaged(finished_project) -> None:
    path = sorted(finished_project.layout.results.glob("runs/*/manifest.json"))[0]
    path.write_text(path.read_text()[:50])
    assert any(line.startswith(f"{path}: damaged") for line in check(finished_project).damaged)


def test_old_results_without_checksums_are_reported_not_failed(finished_project) -> None:
    run = finished_project.layout.run(finished_project.id("lse"))
    (suite,) = finished_project.plan.suites
    for path in (run / "manifest.json", run / "eval" / f"{suite}.json"):
        content = read_json(path)
        weights = content.pop("checksums").get("model.safetensors")
        write_json(path, content | ({"weights_sha256": weights} if weights else {}))
    found = check(finished_project)
    assert found.damaged == []
    names = {"manifest.json", "history.csv", f"{suite}.json", f"{suite}.parquet"}
    assert {path.name for path in found.unrecorded} == names
    assert run / "model.safetensors" in found.intact


def test_an_evaluation_of_other_weights_is_told(finished_project) -> None:
    run = finished_project.layout.run(finished_project.id("lse"))
    (suite,) = finished_project.plan.suites
    donor = finished_project.layout.run(finished_project.id("at"))
    for name in ("model.safetensors", "history.csv", "manifest.json"):
        (run / name).write_bytes((donor / name).read_bytes())
    (line,) = check(finished_project).damaged
    assert line.startswith(
        f"{run}/eval/{suite}.json: was made from another runs/{run.name}/model.safetensors"
    )
