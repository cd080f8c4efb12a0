"""Layers in which a mapping changes its kind, as far as users see it: by what a plan makes of their files."""

from typing import Any

import pytest

import small_params
from robustfront.config.layers import Layer, flatten
from robustfront.config.networks import NetworkConfig
from robustfront.config.replaced import without_replaced
from robustfront.config.schema import Training
from small_params import complaint, study_plan, tree

SGD = {"kind": "sgd"}
ADAM = {"kind": "adam", "lr": 0.01}
STEP = {"kind": "step", "milestones": [0.5]}


def merged(model: Any, *mappings: dict[str, Any]) -> dict[str, Any]:
    return flatten(without_replaced([Layer("", mapping) for mapping in mappings], model))


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ({"schedule": STEP}, {"schedule": {"kind": "cosine"}}, {"schedule": {"kind": "cosine"}}),
        ({"schedule": STEP}, {"schedule": {"factor": 0.2}}, {"schedule": STEP | {"factor": 0.2}}),
        ({"schedule": STEP}, {"schedule": STEP | {"factor": 0.2}}, {"schedule": STEP | {"factor": 0.2}}),
        ({"schedule": {"milestones": [0.5]}}, {"schedule": {"kind": "step"}}, {"schedule": STEP}),
        ({"optimizer": {"momentum": 0.8}}, {"optimizer": ADAM}, {"optimizer": ADAM}),
        ({"optimizer": {"lr": 1.0}}, {"optimizer": SGD}, {"optimizer": {"lr": 1.0} | SGD}),
        ({"optimizer": ADAM}, {"optimizer": {"lr": 1.0}}, {"optimizer": ADAM | {"lr": 1.0}}),
        ({"epochs": 1, "optimizer": ADAM}, {"optimizer": SGD}, {"epochs": 1, "optimizer": SGD}),
    ],
)
def test_a_mapping_of_another_kind_starts_afresh_and_others_are_merged(below, above, expected) -> None:
    assert merged(Training, below, above) == expected


def test_it_may_be_the_whole_layer_and_kinds_lie_within_kinds() -> None:
    re_estimated = {"batch_norm": {"kind": "re-estimated", "batches": 3}}
    assert merged(NetworkConfig, {"width": 4}, {"arch": "other"}, {"depth": 2}) == {
        "arch": "other",
        "depth": 2,
    }
    assert merged(NetworkConfig, re_estimated | {"width": 4}, {"batch_norm": {"kind": "tracked"}}) == {
        "width": 4,
        "batch_norm": {"kind": "tracked"},
    }


def test_a_sweep_is_of_the_mapping_that_it_stands_in(tmp_path) -> None:
    sweep = {"training.optimizer.kind": ["sgd", "adamw"]}
    run = {"method": "standard", "training": {"optimizer": {"lr": 0.3}}, "sweep": sweep}
    edits = {"defaults/training/standard/optimizer": {"lr": 0.1, "momentum": 0.8}, "runs": {"st": run}}
    plan = study_plan(small_params.write(tmp_path, tree(**edits)))
    found = {name: run.config.training.optimizer for run in plan.runs.values() for name in run.names}
    assert (found["st-sgd"].lr, found["st-sgd"].momentum) == (0.3, 0.8)
    assert (found["st-adamw"].lr, found["st-adamw"].momentum) == (0.3, 0.9)


def test_what_another_kind_lacks_is_missing_where_it_is_said(tmp_path) -> None:
    for below in ({"lr": 0.1}, {"kind": "sgd", "lr": 0.1, "nesterov": True}):
        edits = {
            "defaults/training/standard/optimizer": below,
            "scales/tiny/training": {"standard": {"optimizer": {"kind": "adam"}}},
        }
        found = complaint(small_params.write(tmp_path, tree(**edits)))
        assert found == "scales.tiny.training.standard.optimizer.lr: missing"


def test_a_name_or_parameter_that_is_called_kind_replaces_nothing(tmp_path) -> None:
    suites = {"kind": tree()["defaults"]["suites"]["pixel"]}
    edits = {"defaults/suites": suites, "scales/tiny/suites": {"kind": {"seed": 3}}}
    plan = study_plan(small_params.write(tmp_path, tree(**edits)))
    assert plan.suites["kind"].seed == 3
    assert plan.suites["kind"].attacks.keys() == {"pgd", "aa"}
