"""On a real run of the tests of training: two epochs of digits."""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import create_model

import robustfront
import small_params
from robustfront.artefacts import Layout, read_json, write_json
from robustfront.checksums import read_record, write_record
from robustfront.config import schema
from robustfront.config.schema import added
from robustfront.data.store import prepare
from robustfront.errors import ArtefactError
from robustfront.methods import methods
from robustfront.planning import load_plan, sources
from robustfront.planning.sources import training_code
from robustfront.training.session import train
from robustfront.upkeep import inventory
from robustfront.upkeep.reproduce import Reproduction, _Original

FILES = ("model.safetensors", "history.csv")


def tree() -> small_params.Tree:
    return small_params.tree(
        **{
            "datasets/digits/splits": {"train": 72, "validation": 32, "test": 32},
            "defaults/model": {"depth": 10, "width": 2},
            "defaults/suites/pixel/samples": {"aa": 5},
        }
    )


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """The file that the run was planned from."""
    return small_params.write(tmp_path, tree())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run `at`, beside that of its start `st`, of a params.yaml that is no more."""
    folder = tmp_path_factory.mktemp("trained")
    plan = load_plan(small_params.write(folder, tree()), "tiny")
    (folder / "params.yaml").unlink()
    layout = Layout(folder / "results", folder / "checkpoints")
    for key, dataset in plan.datasets.items():
        prepare(dataset, folder / "raw", layout.dataset(key))
    for name in ("st", "at"):
        (run,) = (run for run in plan.runs.values() if f"{small_params.STUDY}/{name}" in run.names)
        train(run, plan.methods, layout, torch.device("cpu"))
    return layout.run(run.id)


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of its own."""
    shutil.copytree(trained.parents[1], tmp_path / "results")
    return tmp_path / "results" / "runs" / trained.name


def reproduce(folder: Path):
    out = folder.parents[2] / "reproduced"
    return Reproduction(out, out / "raw", methods, torch.device("cpu")).run(folder)


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


@pytest.mark.parametrize(
    ("own", "start", "stored", "expected"),
    [
        ("fp32", "bf16", "fp32", "fp32"),  # the start's manifest says it
        (
            "fp32",
            "bf16",
            None,
            "bf16",
        ),  # nothing is left of it: as its config allows, whatever the run's does
        ("bf16", "fp32", None, "fp32"),
        ("fp32", "fp32", None, "fp32"),
    ],
)
def test_a_start_is_computed_as_it_was(
    folder: Path, own: str, start: str, stored: str | None, expected: str
) -> None:
    found = _Original(folder)
    found.config.training.__dict__["precision"] = found.record["arithmetic"] = own
    (key, config), *_ = found.ancestors().items()
    config.training.__dict__["precision"] = start
    path = folder.parent / key / "manifest.json"
    if stored is None:
        path.unlink()
    else:
        write_json(path, read_json(path) | {"arithmetic": stored})
    assert found.arithmetic(key, config) == expected
    assert found.arithmetic(found.id, found.config) == own


def test_the_verb_tells_and_ends_with_zero(folder: Path) -> None:
    command = [sys.executable, "-m", "robustfront", "reproduce", str(folder), "--out", "again"]
    answer = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"{folder.name}: identical weights, SHA-256 ")


# ------------------------------------------------------------------------------ other code, same weights
@pytest.fixture
def other_code(monkeypatch: pytest.MonkeyPatch):
    """A copy of the package, edited at its end: what the process takes for today's code."""

    def edit(text: str) -> None:
        monkeypatch.setattr(robustfront, "__file__", str(shelf / "robustfront" / "__init__.py"))
        path = shelf / "robustfront" / "training" / "loop.py"
        path.write_text(path.read_text() + text)
        forget()

    def forget() -> None:
        for read in (sources.modules, sources._source, sources._lazy_names):
            read.cache_clear()

    with tempfile.TemporaryDirectory() as name:
        shelf = Path(name)
        shutil.copytree(Path(robustfront.__file__).parent, shelf / "robustfront")
        yield edit
        monkeypatch.undo()
        forget()


def test_identical_weights_vouch_for_other_code(folder: Path, params: Path, other_code) -> None:
    path, layout = folder / "manifest.json", Layout(folder.parents[1])
    plan = load_plan(params, "tiny")
    first = read_json(path)
    assert "vouched" not in first
    assert inventory.stale(plan, layout) == {}
    assert reproduce(folder).vouched is None  # the code is the same: nothing to vouch for
    assert read_json(path) == first

    other_code("\n\ndef harmless() -> int:\n    return 1\n")
    today = training_code(plan.runs[folder.name].config, plan.methods)
    assert inventory.stale(plan, layout)[folder.name] == (first["sources"], today)
    found = reproduce(folder)
    assert found.same, str(found)
    assert found.vouched == today
    assert str(found).endswith(f"; its manifest vouches for today's code now, sources {today}")
    record = read_record(path, *FILES)
    assert (record["sources"], record["vouched"]) == (first["sources"], [today])
    assert {key: record[key] for key in first if key != "checksums"} == {
        key: first[key] for key in first if key != "checksums"
    }
    assert folder.name not in inventory.stale(plan, layout)
    assert reproduce(folder).vouched is None

    other_code("\n\ndef harmless_too() -> int:\n    return 1\n")
    assert folder.name in inventory.stale(plan, layout)
    assert reproduce(folder).same
    assert len(read_record(path, *FILES)["vouched"]) == 2
    assert folder.name not in inventory.stale(plan, layout)


def test_other_weights_vouch_for_nothing(folder: Path, other_code) -> None:
    path = folder / "manifest.json"
    record = read_json(path)
    (folder / "model.safetensors").write_bytes(b"other weights")
    write_record(path, record, [folder / name for name in FILES])
    before = path.read_bytes()
    other_code("\n\ndef harmless() -> int:\n    return 1\n")
    assert not reproduce(folder).same
    assert path.read_bytes() == before


def test_a_stored_config_means_what_it_meant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field added to the parameters of its method, whose new default would train something else."""
    entry = methods["pgd_at"]
    attack = create_model(
        "Ascent", __base__=schema.Ascent, steps=(int, ...), more_steps=(int, added(2, before=0))
    )
    params = create_model("Params", __base__=entry.method.Params, attack=(attack, ...))
    seen = []

    class Spied(entry.method):
        Params = params

        def __init__(self, given, setting) -> None:
            seen.append(given.attack.more_steps)
            super().__init__(given, setting)

    monkeypatch.setitem(methods.entries, "pgd_at", replace(entry, method=Spied))
    out = folder.parents[2] / "reproduced"
    found = Reproduction(out, out / "raw", methods, torch.device("cpu")).run(folder)
    assert found.same, str(found)
    assert seen == [0]
    assert (
        params.model_validate(read_json(folder / "manifest.json")["config"]["params"]).attack.more_steps == 2
    )


def test_a_manifest_that_names_a_published_data_set_is_read(folder: Path) -> None:
    """Before data sets lost the field."""
    path = folder / "manifest.json"
    record = read_json(path)
    for config in (record["config"], *record["ancestors"].values()):
        config["dataset"]["published_as"] = "CIFAR10"
        del config["dataset"]["splits"]["rule"], config["dataset"]["augmentation"]["kind"]
    write_record(path, record, [folder / name for name in FILES])
    assert reproduce(folder).same
