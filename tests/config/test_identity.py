from typing import Any

import pytest

from robustfront.config import identity
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import Evaluation, Suite, of_suite
from robustfront.config.identity import dataset_id, digest, evaluation_id, index_id
from robustfront.config.schema import Config, Dataset, Run, Threat

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


class Params(Config):
    a: list[int]
    b: float


def run_digest(run: Run) -> str:
    return identity.run_digest(run, Params.model_validate(run.params))


def test_a_digest_depends_on_values_and_not_on_order() -> None:
    assert digest({"a": 1, "b": {"c": 0.1, "d": None}}) == digest({"b": {"d": None, "c": 0.1}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"a": 1}) == "015abd7f"  # of {"a":1}: the same on every machine
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


def test_a_number_and_its_quotient_are_the_same_identity() -> None:
    assert evaluations() == evaluations(threat={"eps": 8 / 255})


def test_stored_images_depend_on_files_and_splits_alone() -> None:
    same = [
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
    assert run_digest(run(dataset(path="elsewhere"))) == run_digest(run(dataset()))
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


def evaluations(**fields: Any) -> dict[str, str]:
    """Name in the suite -> id."""
    suite = Suite.model_validate(SUITE | fields)
    return {name: evaluation_id(evaluation) for name, evaluation in of_suite(suite).items()}


def test_an_evaluation_is_named_after_its_kind() -> None:
    labels = {name: found.rpartition("-")[0] for name, found in evaluations().items()}
    assert labels == {"clean": "clean", "pgd": "pgd-3", "aa": "autoattack-standard", "masking": "masking"}


def test_what_a_user_calls_things_and_what_else_is_attacked_changes_no_evaluation() -> None:
    before = evaluations()
    renamed = evaluations(name="t", attacks={"b": SUITE["attacks"]["aa"], "a": SUITE["attacks"]["pgd"]})
    assert [renamed[key] for key in ("a", "b")] == [before[key] for key in ("pgd", "aa")]
    fewer = evaluations(masking=False, samples={"pgd": 5}, attacks=SUITE["attacks"])
    assert [fewer[key] for key in ("clean", "aa")] == [before[key] for key in ("clean", "aa")]
    assert fewer["pgd"] != before["pgd"]


def test_steps_on_the_way_count_and_their_names_do_not() -> None:
    def pgd(also: dict[str, int]) -> str:
        return evaluations(attacks={"pgd": SUITE["attacks"]["pgd"] | {"also": also}})["pgd"]

    assert pgd({"one": 1, "two": 2}) == pgd({"b": 2, "a": 1}) == pgd({"b": 2, "a": 1, "c": 2})
    assert len({pgd({}), pgd({"one": 1}), pgd({"one": 2}), pgd({"one": 1, "two": 2})}) == 4
    named = Evaluation(attack=PGDEvaluation(steps=3, step_size=0.1, also={"mine": 1}), threat=Threat(eps=0.1))
    attack = named.attack.model_copy(update={"also": {"step-1": 1}})
    assert evaluation_id(named) == evaluation_id(named.model_copy(update={"attack": attack}))


def test_which_images_further_restarts_attack_counts_and_changes_no_identity_of_before() -> None:
    def pgd(**fields: Any) -> str:
        settings = SUITE["attacks"]["pgd"] | {"restarts": 2, "clip_start": True} | fields
        return evaluations(attacks={"pgd": settings})["pgd"]

    assert pgd() == pgd(restarts_on="all") == "pgd-3-5d222a"
    assert pgd() != pgd(restarts_on="standing")


def test_the_batch_size_counts_for_autoattack_alone() -> None:
    before, after = evaluations(), evaluations(batch_size=100)
    assert {name for name in before if before[name] != after[name]} == {"aa"}


@pytest.mark.parametrize(
    "fields",
    [{"seed": 1}, {"threat": {"eps": 0.1}}, {"split": "validation"}, {"samples": {"pgd": 9, "aa": 9}}],
)
def test_an_evaluation_depends_on_all_that_decides_its_rows(fields: dict[str, Any]) -> None:
    before, after = evaluations(), evaluations(**fields)
    assert before["pgd"] != after["pgd"]
    assert before["aa"] != after["aa"]
    assert (before["clean"] != after["clean"]) == ("split" in fields)
    assert (before["masking"] != after["masking"]) == ("samples" not in fields)


def test_an_index_depends_on_what_it_lists_in_any_order() -> None:
    assert index_id(["a", "b"]) == index_id(["b", "a"]) != index_id(["a"])
    assert index_id(["a"]).startswith("index-")
