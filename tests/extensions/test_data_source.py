"""The data source of docs/adding-a-data-source.md, by the command, from a user's files to stored images."""

import subprocess
import sys

import numpy as np
import pytest
from documented import write_examples

import small_params
from robustfront.artefacts import read_json
from robustfront.data.store import load
from robustfront.planning import load_plan
from small_params import full_complaint

RNG = np.random.default_rng(0)


@pytest.fixture
def tree(tmp_path) -> small_params.Tree:
    (tmp_path / "images").mkdir()
    for name in ("cats", "dogs", "owls", "yaks"):
        np.save(tmp_path / "images" / f"{name}.npy", RNG.integers(0, 256, (40, 6, 6), dtype=np.uint8))
    write_examples("adding-a-data-source.md", tmp_path)
    mine = {
        "source": "arrays",
        "path": str(tmp_path / "images"),
        "at_most": 30,
        "splits": {"validation": 10, "test": 20, "held_out": "stratified"},
        "normalisation": {"mean": [0.5], "std": [0.25]},
    }
    return small_params.tree(
        **{
            "extensions": ["arrays.py"],
            "datasets": {"mine": mine},
            "scales/wide": ...,
            "scales/tiny/datasets": ["mine"],
        }
    )


def test_its_images_are_read_split_and_stored(tree, tmp_path) -> None:
    plan = load_plan(small_params.write(tmp_path, tree))
    (key,) = plan.datasets
    command = [sys.executable, "-P", "-m", "robustfront", "data", key]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "results" / "datasets" / key
    store = load(folder, "cpu")
    assert (len(store.train), len(store.validation), len(store.test), store.classes) == (90, 10, 20, 4)
    cats = np.load(tmp_path / "images" / "cats.npy")[:30]
    for image, label, index in zip(*vars(store.train).values(), strict=True):
        assert int(label) == int(index) // 30
        assert int(label) or np.array_equal(image[0].numpy(), cats[int(index)])
    manifest = read_json(folder / "manifest.json")
    assert manifest["dataset"]["at_most"] == 30
    assert list(manifest["raw_files"]) == ["cats.npy", "dogs.npy", "owls.npy", "yaks.npy"]


def test_its_settings_are_part_of_its_identity_and_checked(tree, tmp_path) -> None:
    (key,) = load_plan(small_params.write(tmp_path, tree)).datasets
    tree["datasets"]["mine"]["at_most"] = 29
    assert {key} != {*load_plan(small_params.write(tmp_path, tree)).datasets}
    tree["datasets"]["mine"]["at_most"] = 0
    path = small_params.write(tmp_path, tree)
    assert full_complaint(path) == f"{path}: datasets.mine.at_most = 0: must be greater than or equal to 1"
    del tree["datasets"]["mine"]["at_most"], tree["datasets"]["mine"]["path"]
    path = small_params.write(tmp_path, tree)
    assert full_complaint(path) == (
        f"{path}: datasets.mine.path: missing; source arrays needs the file with your images"
    )
    tree["datasets"]["mine"]["source"] = "arays"
    assert "source = 'arays': must be 'arrays' or 'cifar10'" in full_complaint(
        small_params.write(tmp_path, tree)
    )
