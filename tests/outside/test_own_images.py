"""Images of the user's own: what of a project does not fit them is told before anything is trained."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_params
from outside import Outside, refused, succeeded
from robustfront.artefacts import read_json
from robustfront.planning import load_plan

ATTACK = {"steps": 2, "step_size": 0.05}
PGD = {"kind": "pgd"} | ATTACK


def project(
    folder: Path,
    shape: tuple[int, ...] = (6, 6),
    classes: int = 5,
    *,
    suite: dict[str, Any] | None = None,
    by_class: bool = False,
    **edits: Any,
) -> Outside:
    """Two runs on 240 random grey images, 60 of a test part beside them; or on all, sorted by class."""
    labels = np.arange(300) % classes
    labels = np.sort(labels) if by_class else labels
    images = np.random.default_rng(0).integers(0, 256, (300, *shape), np.uint8)
    cut = 300 if by_class else 240
    parts = {"x_train": images[:cut], "y_train": labels[:cut]}
    if not by_class:
        parts |= {"x_test": images[cut:], "y_test": labels[cut:]}
    np.savez(folder / "own.npz", **parts)
    tree = small_params.tree()
    tree["datasets"] = {
        "own": {
            "source": "npz",
            "path": "own.npz",
            "splits": {"validation": 60, "test": 60 if by_class else "official"},
            "normalisation": {"mean": [0.5], "std": [0.3]},
        }
    }
    tree["runs"] = {name: tree["runs"][name] for name in ("st", "npgd")}
    attacked = {"threat": {"eps": 0.1}, "attacks": {"pgd": PGD}, "masking": False}
    tree["defaults"]["suites"] = {"pixel": attacked | (suite or {})}
    del tree["scales"]["wide"]
    tree["scales"]["tiny"]["datasets"] = ["own"]
    for key, value in edits.items():
        *parents, last = key.split("__")
        place = tree
        for parent in parents:
            place = place[parent]
        place[last] = value
    small_params.write(folder, tree)
    return Outside(folder)


def prepare(own: Outside) -> subprocess.CompletedProcess[str]:
    """The outcome of the job that makes the data set."""
    (planned,) = load_plan(own.folder / "params.yaml").datasets
    return own.robustfront("data", planned)


AUTOATTACK = {"aa": {"kind": "autoattack"}}
LOW = {"threat": {"eps": 0.1, "norm": "l2"}}
PATH = {"kind": "path", "runs": ["npgd"], "image": 60, "threat": {"eps": 0.1}, "attack": ATTACK}
MISFITS: dict[str, dict[str, Any]] = {
    "classes for AutoAttack": {"classes": 3, "suite": {"attacks": AUTOATTACK}},
    "classes for dlr": {"classes": 2, "suite": {"attacks": {"dlr": PGD | {"objective": "dlr"}}}},
    "rows for Square": {"shape": (4, 6), "suite": LOW | {"attacks": AUTOATTACK}},
    "test images": {"suite": {"samples": {"pgd": 61}}},
    "image of an analysis": {"defaults__analyses": {"path": PATH}},
    "features for a null space": {"classes": 32},
    "images for batches": {"defaults__training__standard__batch_size": 179},
}


@pytest.mark.parametrize("what", MISFITS)
def test_what_does_not_fit_is_told_when_the_images_are_known(tmp_path: Path, what: str) -> None:
    own = project(tmp_path, **MISFITS[what])
    assert "not checked: whether classes, sizes and counts of own fit" in succeeded(own.robustfront("plan"))
    told = refused(prepare(own), code=2)
    assert refused(own.robustfront("plan"), code=2) == told


def test_snakemake_stops_there_and_does_the_rest_once_it_fits(tmp_path: Path) -> None:
    own = project(tmp_path, (4, 6), suite=LOW | {"attacks": AUTOATTACK})
    done = own.snakemake("runs")
    assert done.returncode == 1
    assert "needs 5 rows of pixels or more for l2" in done.stdout
    assert not [*(tmp_path / "checkpoints").rglob("*")]
    assert not [*(tmp_path / "results").rglob("model.safetensors")]
    project(
        tmp_path, (4, 6), suite=LOW | {"masking": True}, runs={"st": {"method": "standard", "loss": "ce"}}
    )
    succeeded(own.snakemake("runs"))
    assert "not checked" not in succeeded(own.robustfront("plan"))


def test_images_sorted_by_class_are_split_by_class_or_not_at_all(tmp_path: Path) -> None:
    own = project(tmp_path, by_class=True)
    refused(prepare(own), code=2)
    assert not [*(tmp_path / "results").rglob("*.safetensors")]
    drawn = {"validation": 60, "test": 60, "held_out": "stratified"}
    own = project(tmp_path, by_class=True, datasets__own__splits=drawn)
    succeeded(prepare(own))
    (manifest,) = (tmp_path / "results" / "datasets").glob("*/manifest.json")
    counts = read_json(manifest)["images_per_class"]
    assert counts == {"train": [36] * 5, "validation": [12] * 5, "test": [12] * 5}


@pytest.mark.parametrize("rule", ["last", "random"])
def test_a_rule_that_leaves_a_class_out_is_named(tmp_path: Path, rule: str) -> None:
    splits = {"validation": 60, "test": 60, "held_out": "stratified", "rule": rule}
    done = prepare(project(tmp_path, by_class=True, datasets__own__splits=splits))
    assert done.returncode == (2 if rule == "last" else 0), done.stdout
    if rule == "last":
        refused(done, code=2)


def test_images_edited_in_place_are_noticed_by_every_verb_and_make_everything_new(tmp_path: Path) -> None:
    standard = {"st": {"method": "standard", "loss": "ce"}}
    own = project(tmp_path, runs=standard)
    succeeded(own.snakemake("runs"))
    with np.load(tmp_path / "own.npz") as archive:
        arrays = dict(archive)
    arrays["x_train"][0] ^= 255
    np.savez(tmp_path / "own.npz", **arrays)

    refused(own.snakemake("runs"))
    for verb in (["status"], ["verify"], ["why", "st"]):
        told = own.robustfront(*verb).stdout
        assert "made from another own.npz" in told, told
    succeeded(own.robustfront("prune", "--stale", "--yes"))
    assert not [*(tmp_path / "results").glob("*/*/manifest.json")]
    assert "dataset" in succeeded(own.snakemake("--dry-run", "runs"))


def replaced(own: Outside, write: Callable[[Path], None]) -> str:
    """What the job that makes the data set says of another `own.npz`."""
    path = own.folder / "own.npz"
    path.unlink()
    write(path)
    (dataset,) = load_plan(own.folder / "params.yaml").datasets
    return refused(own.robustfront("data", dataset))


def test_a_label_costs_no_memory_of_its_size(tmp_path: Path) -> None:
    """A count of every class up to 2^40 would take eight terabytes."""

    def write(path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (6, 6, 6), np.uint8)
        np.savez(path, x_train=images, y_train=[0, 1, 2, 3, 4, 2**40], x_test=images, y_test=np.arange(6))

    assert "1099511627776" in replaced(project(tmp_path), write)


def test_a_page_of_the_network_saved_as_images_is_no_pickle_to_be_allowed(tmp_path: Path) -> None:
    told = replaced(project(tmp_path), lambda path: path.write_text("<!DOCTYPE html><title>Moved</title>"))
    assert "pickle" not in told


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    own = project(tmp_path)

    def write(path: Path) -> None:
        path.mkdir()
        for name in ("a.npz", "b.npz"):
            np.savez(path / name, x_train=np.zeros((2, 6, 6), np.uint8), y_train=[0, 1])

    replaced(own, write)
