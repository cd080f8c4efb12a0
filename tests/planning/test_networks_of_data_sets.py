"""A scale may have another network on some of its data sets."""

from pathlib import Path
from typing import Any

import pytest

from robustfront.config.networks import PreActResNet
from robustfront.planning import Plan, load_plan
from small_params import STUDY, complaint, tree
from study_files import write

DATASETS = {
    "scales/tiny/datasets": ["digits", "more"],
    "datasets/more": {
        "source": "digits",
        "splits": {"validation": 100, "test": 100, "seed": 1},
        "normalisation": {"mean": [0.5], "std": [0.5]},
    },
}
OWN = {"runs/own": {"method": "standard", "loss": "lse", "model": {"width": 3}}}


def widths(plan: Plan) -> dict[tuple[str, str], int]:
    found = {}
    for run in plan.studies[STUDY].runs.values():
        assert isinstance(run.config.model, PreActResNet)
        for name in run.names:
            found[name, run.config.dataset.name] = run.config.model.width
    return found


def edited(**more: Any) -> dict[str, Any]:
    return tree(**DATASETS, **OWN, **more)


def test_what_differs_lies_between_the_scale_and_the_run(tmp_path: Path) -> None:
    before = widths(load_plan(write(tmp_path, edited())))
    usual = before["st", "digits"]
    assert before["st", "more"] == usual != 5
    changed = edited(**{"scales/tiny/models": {"more": {"width": 5, "depth": 18}}})
    plan = load_plan(write(tmp_path, changed))
    after = widths(plan)
    assert after["st", "digits"] == usual
    assert after["st", "more"] == 5
    assert after["own", "digits"] == after["own", "more"] == 3
    depths = {run.config.dataset.name: run.config.model.depth for run in plan.studies[STUDY].runs.values()}
    assert depths["more"] == 18 != depths["digits"]


def test_a_data_set_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    message = complaint(write(tmp_path, edited(**{"scales/tiny/models": {"mor": {"width": 5}}})))
    assert "scales.tiny.models.mor: there is no 'mor' (did you mean 'more'?)" in message


@pytest.mark.parametrize(("key", "value"), [("wdth", 5), ("width", "wide")])
def test_a_mistake_in_it_names_its_key(key: str, value: Any, tmp_path: Path) -> None:
    message = complaint(write(tmp_path, edited(**{"scales/tiny/models": {"more": {key: value}}})))
    assert f"scales.tiny.models.more.{key}" in message
