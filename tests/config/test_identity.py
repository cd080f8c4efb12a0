from typing import Any

import pytest

from robustfront.config.identity import dataset_id, digest, run_digest, suite_id
from robustfront.config.schema import Dataset, Run, Suite

IMAGES: dict[str, Any] = {
    "name": "images",
    "source": "mnist",
    "splits": {"validation": 10, "test": "official"},
    "normalisation": {"mean": [0.1], "std": [0.3]},
}
SUITE: dict[str, Any] = {
    "name": "s",
    "threat": {"eps": "8/255"},
    "attacks": {"pgd": {"kind": "pgd", "steps": 3, "step_size": 0.01}, "aa": {"kind": "autoattack"}},
}


def dataset(**fields: Any) -> Dataset:
    return Dataset.model_validate(IMAGES | fields)


def run(images: Dataset, **fields: Any) -> Run:
    training = {"epochs": 1, "batch_size": 2, "optimizer": {"lr": 1}, "schedule": {"kind": "constant"}}
    content = {"method": "m", "params": {"b": 1.0, "a": [1]}, "model": {}, "training": training, "seed": 0}
    return Run.model_validate(content | {"dataset": images} | fields)


def test_a_digest_depends_on_values_and_not_on_order() -> None:
    assert digest({"a": 1, "b": {"c": 0.1, "d": None}}) == digest({"b": {"d": None, "c": 0.1}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"a": 1}) == "015abd7f"  # of {"a":1}: the same on every machine
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


def test_a_number_and_its_quotient_are_the_same_identity() -> None:
    assert suite_id(Suite.model_validate(SUITE)) == suite_id(
        Suite.model_validate(SUITE | {"threat": {"eps": 8 / 255}})
    )


def test_stored_images_depend_on_files_and_splits_alone() -> None:
    same = [
        {"published_as": "CIFAR10"},
        {"normalisation": {"mean": [0.5], "std": [0.5]}},
        {"augmentation": {"pad": 4}},
        {"path": "elsewhere"},
    ]
    other = [{"splits": {"validation": 11}}, {"source": "svhn"}, {"checksums": {"a": "0"}}, {"name": "b"}]
    assert {dataset_id(dataset(**fields)) for fields in same} == {dataset_id(dataset())}
    assert len({dataset_id(dataset(**fields)) for fields in [{}, *other]}) == 5


def test_an_own_file_without_checksum_is_told_apart_by_its_path() -> None:
    here, there = ({"source": "npz", "path": path} for path in ("a.npz", "b.npz"))
    pinned = {"checksums": {"a.npz": "0" * 64}}
    assert dataset_id(dataset(**here)) != dataset_id(dataset(**there))
    assert run_digest(run(dataset(**here))) != run_digest(run(dataset(**there)))
    assert dataset_id(dataset(**here, **pinned)) == dataset_id(dataset(**there, **pinned))
    assert run_digest(run(dataset(**here, **pinned))) == run_digest(run(dataset(**there, **pinned)))


def test_a_run_depends_on_all_that_decides_its_weights() -> None:
    same = [{"published_as": "SVHN"}, {"path": "elsewhere"}]
    assert {run_digest(run(dataset(**fields))) for fields in same} == {run_digest(run(dataset()))}
    other = [
        run(dataset()),
        run(dataset(augmentation={"flip": True})),
        run(dataset(normalisation={"mean": [0.5], "std": [0.5]})),
        run(dataset(splits={"validation": 11})),
        run(dataset(), params={"b": 2.0, "a": [1]}),
        run(dataset(), model={"width": 8}),
        run(dataset(), seed=1),
        run(dataset(), init="parent"),
        run(dataset(), rank_tolerance=1e-4),
    ]
    assert len(set(map(run_digest, other))) == len(other)
    assert run_digest(run(dataset(), params={"a": [1], "b": 1.0})) == run_digest(run(dataset()))


def test_a_suite_depends_on_its_attacks_and_not_on_their_order_or_its_name() -> None:
    suite = Suite.model_validate(SUITE)
    reordered = SUITE | {"attacks": dict(reversed(SUITE["attacks"].items()))}
    renamed = suite_id(Suite.model_validate(SUITE | {"name": "t"}))
    assert suite_id(Suite.model_validate(reordered)) == suite_id(suite)
    assert renamed.removeprefix("t-") == suite_id(suite).removeprefix("s-")
    assert suite_id(Suite.model_validate(SUITE | {"seed": 1})) != suite_id(suite)
