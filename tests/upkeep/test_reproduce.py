"""On a real run of the tests of training: two epochs of digits."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import small_params
from robustfront.artefacts import Layout, read_json, write_json
from robustfront.checksums import write_record
from robustfront.data.store import prepare
from robustfront.errors import ArtefactError
from robustfront.methods import load_methods
from robustfront.planning import load_plan
from robustfront.training.session import train
from robustfront.upkeep.reproduce import Reproduction

FILES = ("model.safetensors", "history.csv")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run `at`, beside that of its start `st`, of a params.yaml that is no more."""
    folder = tmp_path_factory.mktemp("trained")
    tree = small_params.tree(
        **{
            "datasets/digits/splits": {"train": 72, "validation": 32, "test": 32},
            "defaults/model": {"depth": 10, "width": 2},
            "defaults/suites/pixel/samples": {"aa": 5},
        }
    )
    plan = load_plan(small_params.write(folder, tree), "tiny")
    (folder / "params.yaml").unlink()
    layout = Layout(folder / "results", folder / "checkpoints")
    for key, dataset in plan.datasets.items():
        prepare(dataset, folder / "raw", layout.dataset(key))
    for name in ("st", "at"):
        (run,) = (run for run in plan.runs.values() if name in run.names)
        train(run, plan.methods, layout, torch.device("cpu"))
    return layout.run(run.id)


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of its own."""
    shutil.copytree(trained.parents[1], tmp_path / "results")
    return tmp_path / "results" / "runs" / trained.name


def reproduce(folder: Path):
    out = folder.parents[2] / "reproduced"
    return Reproduction(out, out / "raw", load_methods(), torch.device("cpu")).run(folder)


def test_the_manifest_alone_gives_the_same_bits(folder: Path, tmp_path: Path) -> None:
    """Neither params.yaml, nor the data set, nor the start: nothing but the file."""
    alone = tmp_path / "mail" / "runs" / folder.name
    alone.mkdir(parents=True)
    shutil.copy(folder / "manifest.json", alone)
    found = reproduce(alone)
    assert found.same, str(found)
    start = read_json(folder / "manifest.json")["init"]
    made = tmp_path / "reproduced" / "runs" / start / "model.safetensors"
    assert made.read_bytes() == (folder.parent / start / "model.safetensors").read_bytes()


def test_what_is_there_as_it_was_is_used(folder: Path, tmp_path: Path) -> None:
    start = read_json(folder / "manifest.json")["init"]
    assert reproduce(folder).same
    assert not (tmp_path / "reproduced" / "runs" / start / "manifest.json").exists()  # copied, not trained


def test_other_weights_are_told_with_what_else_differs(folder: Path) -> None:
    path = folder / "manifest.json"
    record = read_json(path)
    record["versions"]["torch"] = "2.0"
    record["device"] = "a quantum computer"
    (folder / "model.safetensors").write_bytes(b"other weights")
    write_record(path, record, [folder / name for name in FILES])
    found = reproduce(folder)
    assert not found.same
    assert f"torch 2.0 -> {torch.__version__.split('+')[0]}" in str(found)
    assert "device a quantum computer -> " in str(found)


def test_other_images_are_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    record = read_json(path)
    (name,) = (name for name in record["made_from"] if name.startswith("datasets/"))
    record["made_from"][name] = "0" * 64
    write_record(path, record, [folder / name for name in FILES])
    with pytest.raises(ArtefactError, match=r"images\.safetensors: not the images that .* was trained on"):
        reproduce(folder)


def test_an_edited_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    write_json(path, read_json(path) | {"seed": 9})
    with pytest.raises(ArtefactError, match="was edited after it was written"):
        reproduce(folder)


def test_an_old_manifest_is_helped_out_by_config_yaml(folder: Path) -> None:
    """Before manifests had the config, config.yaml had it, which is JSON here."""
    for run in folder.parent.iterdir():
        record = read_json(run / "manifest.json")
        config = {"id": run.name, "run": record.pop("config")}
        (run / "config.yaml").write_text(json.dumps(config))
        for key in ("ancestors", "made_from", "checksums"):
            checksums = record.pop(key)
        write_json(run / "manifest.json", record | {"weights_sha256": checksums["model.safetensors"]})
    assert reproduce(folder).same


def test_the_verb_tells_and_ends_with_zero(folder: Path) -> None:
    command = [sys.executable, "-m", "robustfront", "reproduce", str(folder), "--out", "again"]
    answer = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"{folder.name}: identical weights, SHA-256 ")
