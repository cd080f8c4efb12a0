import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from robustfront import artefacts, checksums
from robustfront.config.evaluations import Evaluation, Suite, of_suite
from robustfront.config.identity import evaluation_id, index_id
from robustfront.errors import ArtefactError, OutOfMemory, RunLocked
from robustfront.evaluation import batches, making, outcomes
from robustfront.evaluation.session import evaluate_run
from robustfront.models.weights import load_weights, save_weights
from small_project import Project

PGD = {"kind": "pgd", "steps": 3, "step_size": 0.05}


def wanted(**changes: Any) -> dict[str, Evaluation]:
    """Id -> evaluation of a suite of one attack without masking checks."""
    content = {
        "name": "s",
        "threat": {"eps": 0.1},
        "attacks": {"pgd": PGD},
        "batch_size": 8,
        "masking": False,
    }
    suite = Suite.model_validate(content | changes)
    return {evaluation_id(evaluation): evaluation for evaluation in of_suite(suite).values()}


def evaluate(project: Project, evaluations: dict[str, Evaluation]) -> Path:
    """The index."""
    run, index = project.run("st"), index_id(evaluations)
    evaluate_run(run, evaluations, index, project.layout, "cpu")
    return project.layout.evaluation(run.id, index).with_suffix(".json")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels of the attacks that are made, as they are made."""
    made: list[str] = []
    real = making.evaluate

    def watched(subject: Any, evaluation: Evaluation, **settings: Any) -> outcomes.Evaluated:
        found = real(subject, evaluation, **settings)
        made.append(evaluation.attack.label)
        return found

    monkeypatch.setattr(making, "evaluate", watched)
    return made


def test_a_run_gets_all_its_evaluations_and_an_index_of_them(small_project: Project) -> None:
    evaluations = wanted(masking=True)
    index = evaluate(small_project, evaluations)
    run = small_project.run("st")
    found = checksums.read_record(index)
    assert (found["run"], found["evaluations"]) == (run.id, sorted(evaluations))
    stems = {key: small_project.layout.evaluation(run.id, key) for key in evaluations}
    files = [
        outcomes.file(stem, suffix) for key, stem in stems.items() for suffix in evaluations[key].suffixes
    ]
    assert {*files, index} == {*index.parent.iterdir()}
    assert len(files) == 3 + 3 + 1
    for key, stem in stems.items():
        record = outcomes.record(stem)
        assert record["run"] == run.id
        assert Evaluation.model_validate(record["evaluation"]) == evaluations[key]
        assert {Path(path).name for path in record["made_from"]} == {
            "model.safetensors",
            "images.safetensors",
        }
        if evaluations[key].outcomes:
            rows, _ = outcomes.load(stem)
            assert len(rows) == 32
    assert not small_project.layout.unfinished(run.id, "evaluations").exists()


def test_what_is_added_is_made_alone(small_project: Project, done: list[str]) -> None:
    evaluate(small_project, wanted())
    assert done == ["clean", "pgd-3"]
    done.clear()
    more = wanted(attacks={"pgd": PGD, "longer": PGD | {"steps": 4}}, samples={"longer": 9}, masking=True)
    evaluate(small_project, more)
    assert done == ["pgd-4", "masking"]
    done.clear()
    evaluate(small_project, wanted(name="t", attacks={"renamed": PGD}))
    assert done == []


def test_what_is_lost_or_of_other_weights_is_made_again(small_project: Project, done: list[str]) -> None:
    evaluations = wanted()
    clean, pgd = evaluations
    evaluate(small_project, evaluations)
    run = small_project.run("st").id
    for suffix in ("parquet", "safetensors", "json"):
        done.clear()
        small_project.layout.evaluation(run, pgd).with_suffix(f".{suffix}").unlink()
        evaluate(small_project, evaluations)
        assert done == ["pgd-3"]
    done.clear()
    record = small_project.layout.evaluation(run, clean).with_suffix(".json")
    content = json.loads(record.read_text())
    (model,) = (path for path in content["made_from"] if path.endswith("model.safetensors"))
    content["made_from"][model] = "0" * 64
    content.pop("checksums")
    checksums.write_record(record, content, [])
    evaluate(small_project, evaluations)
    assert done == ["clean"]


def test_killed_it_goes_on_with_the_batch_it_was_at(
    small_project: Project, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = wanted(attacks={"one": PGD, "two": PGD | {"steps": 4}}, batch_size=2)
    expected = tables(evaluations, evaluate(small_project, evaluations))
    for path in small_project.layout.evaluation(small_project.run("st").id, "x").parent.iterdir():
        path.unlink()
    real, attacked = batches.pgd, list[int]()

    def pgd(model: Any, x: torch.Tensor, labels: Any, ball: Any, attack: Any, **settings: Any) -> Any:
        if len(attacked) == 5 and not killed:
            killed.append(True)
            raise KeyboardInterrupt
        attacked.append(attack.steps)
        return real(model, x, labels, ball, attack, **settings)

    killed: list[bool] = []
    monkeypatch.setattr(batches, "pgd", pgd)
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluate(small_project, evaluations)
    per_attack = attacked.count(3)
    assert done == ["clean", "pgd-3"]
    assert attacked == [3] * per_attack + [4] * (5 - per_attack)
    work = small_project.layout.unfinished(small_project.run("st").id, "evaluations")
    assert [path.name for path in work.iterdir() if path.is_dir()] == [list(evaluations)[2]]
    index = evaluate(small_project, evaluations)
    assert done == ["clean", "pgd-3", "pgd-4"]
    assert attacked == [3] * per_attack + [4] * per_attack  # no batch twice
    assert tables(evaluations, index) == expected
    assert not work.exists()


def test_batches_that_other_code_left_are_not_gone_on_with(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = wanted(attacks={"one": PGD}, batch_size=2)
    real, attacked = batches.pgd, list[int]()

    def pgd(model: Any, x: torch.Tensor, labels: Any, ball: Any, attack: Any, **settings: Any) -> Any:
        if len(attacked) == 2 and not killed:
            killed.append(True)
            attacked.clear()
            raise KeyboardInterrupt
        attacked.append(len(x))
        return real(model, x, labels, ball, attack, **settings)

    killed: list[bool] = []
    monkeypatch.setattr(batches, "pgd", pgd)
    with pytest.raises(KeyboardInterrupt):
        evaluate(small_project, evaluations)
    monkeypatch.setattr(making, "evaluation_code", lambda evaluation, model: "other")
    evaluate(small_project, evaluations)
    assert attacked == [2, 2, 1], "all batches, as if nothing had been there"


def tables(evaluations: dict[str, Evaluation], index: Path) -> dict[str, bytes]:
    return {key: (index.parent / f"{key}.parquet").read_bytes() for key in evaluations}


def test_other_images_are_attacked_where_a_suite_says_so(small_project: Project) -> None:
    index = evaluate(small_project, wanted(split="train") | wanted())
    sizes = {}
    for path in index.parent.glob("*.parquet"):
        rows, record = outcomes.load(path.with_suffix(""))
        sizes[record["evaluation"]["split"], record["evaluation"]["attack"]["kind"]] = len(rows)
    assert sizes == {(s, k): n for s, n in (("train", 72), ("test", 32)) for k in ("clean", "pgd")}


def test_one_process_at_a_time_evaluates_a_run(small_project: Project) -> None:
    work = small_project.layout.unfinished(small_project.run("st").id, "evaluations")
    work.mkdir(parents=True)
    with FileLock(work / "lock"), pytest.raises(RunLocked, match="evaluations: another process is at it"):
        evaluate(small_project, wanted())


def test_without_memory_for_one_image_nothing_is_written(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "pgd", lambda *_, **__: torch.empty(2**55))
    evaluations = wanted()
    with (
        pytest.warns(UserWarning, match="memory ran out"),
        pytest.raises(OutOfMemory, match="evaluations: out of memory on cpu; lower the size of the model"),
    ):
        evaluate(small_project, evaluations)
    folder = small_project.layout.evaluation(small_project.run("st").id, "x").parent
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"clean"}


def test_a_model_that_is_missing_is_named(small_project: Project) -> None:
    path = small_project.layout.run(small_project.run("st").id) / "model.safetensors"
    path.unlink()
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        evaluate(small_project, wanted())


def test_where_nothing_is_missing_there_is_only_the_index_to_write(
    small_project: Project, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of which studies are asked for: no device, no model, no images, nothing hashed."""
    both = wanted(attacks={"one": PGD, "two": PGD | {"steps": 4}})
    evaluate(small_project, both)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was loaded or hashed")

    for name in ("choose_device", "load", "build"):
        monkeypatch.setattr(making, name, never)
    monkeypatch.setattr(checksums, "sha256", never)
    monkeypatch.setattr(artefacts, "sha256", never)
    fewer = wanted()
    index = evaluate(small_project, fewer)
    assert checksums.read_record(index)["evaluations"] == sorted(fewer)
    with pytest.raises(AssertionError, match="loaded or hashed"):
        evaluate(small_project, wanted(attacks={"three": PGD | {"steps": 2}}))


def test_such_a_job_does_not_even_import_torch(small_project: Project) -> None:
    run = small_project.run("st")
    evaluate(small_project, small_project.plan.evaluations[run.id])
    script = (
        "import sys; from pathlib import Path; from robustfront.artefacts import Layout\n"
        "from robustfront.evaluation.session import evaluate_run\n"
        "from robustfront.planning import load_plan\n"
        "plan = load_plan(Path('params.yaml'))\n"
        f"run, wanted = plan.runs['{run.id}'], plan.evaluations['{run.id}']\n"
        "evaluate_run(run, wanted, 'index-again', Layout(), 'auto')\n"
        "print('torch' in sys.modules)"
    )
    words = [sys.executable, "-c", script]
    answer = subprocess.run(words, cwd=small_project.folder, capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
    assert small_project.layout.evaluation(run.id, "index-again").with_suffix(".json").is_file()


def test_weights_that_the_manifest_does_not_vouch_for_are_refused(small_project: Project) -> None:
    path = small_project.layout.run(small_project.run("st").id) / "model.safetensors"
    weights = load_weights(path)
    weights["head.bias"] += 1
    save_weights(weights, path, {})
    with pytest.raises(
        ArtefactError, match=rf"{path}: not the file that manifest\.json beside it vouches for"
    ):
        evaluate(small_project, wanted())


@pytest.mark.parametrize("damage", ["", "{}", "[]"])
def test_a_run_without_a_whole_manifest_is_not_evaluated(small_project: Project, damage: str) -> None:
    path = small_project.layout.run(small_project.run("st").id) / "manifest.json"
    path.write_text(damage)
    with pytest.raises(ArtefactError, match=rf"{path}: (damaged|has no checksum of model\.safetensors)"):
        evaluate(small_project, wanted())
    path.unlink()
    with pytest.raises(ArtefactError, match=rf"{path}: missing"):
        evaluate(small_project, wanted())
