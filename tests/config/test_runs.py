import math
from typing import Any

import pytest

from robustfront.config.experiment import Experiment
from robustfront.config.params import load_params
from robustfront.config.runs import MOST_RUNS, NamedRun, expand
from robustfront.errors import ConfigError
from small_params import tree, write


def swept(**entry: Any) -> list[NamedRun]:
    return expand("r", {"method": "trades", "beta": 1.5} | entry, "params.yaml")


def test_an_entry_without_a_sweep_is_one_run_of_its_name() -> None:
    (run,) = swept(init="st")
    assert (run.name, run.entry.method, run.entry.init) == ("r", "trades", "st")
    assert [layer.data for layer in run.of_method()] == [{"beta": 1.5}]


def test_a_sweep_is_the_product_of_its_values_in_order_named_by_them() -> None:
    runs = swept(sweep={"beta": [0.5, 2, 1e10], "attack_mode": ["eval", "train"]})
    assert [run.name for run in runs] == [
        "r-0.5-eval",
        "r-0.5-train",
        "r-2-eval",
        "r-2-train",
        "r-10000000000-eval",
        "r-10000000000-train",
    ]
    assert [run.entry.model_extra for run in runs[:2]] == [
        {"beta": 0.5, "attack_mode": "eval"},
        {"beta": 0.5, "attack_mode": "train"},
    ]


@pytest.mark.parametrize(
    ("value", "name"), [(1e-5, "1e-05"), (1e300, "1e300"), ("8/255", "8-255"), (True, "true"), (None, "null")]
)
def test_swept_values_make_plain_names(value: Any, name: str) -> None:
    assert [run.name for run in swept(sweep={"key": [value]})] == [f"r-{name}"]


def test_a_dot_sweeps_a_key_inside_a_mapping_and_keeps_its_neighbours() -> None:
    runs = swept(attack={"steps": 1, "restarts": 2}, sweep={"attack.steps": [5, 10], "model.width": [4]})
    assert [run.entry.model_extra["attack"] for run in runs if run.entry.model_extra] == [
        {"steps": 5, "restarts": 2},
        {"steps": 10, "restarts": 2},
    ]
    assert [run.entry.model for run in runs] == [{"width": 4}] * 2


def test_the_start_can_be_swept() -> None:
    assert [run.entry.init for run in swept(sweep={"init": ["st", "lse"]})] == ["st", "lse"]


def test_too_large_a_sweep_is_refused_before_it_is_expanded() -> None:
    sweep = {f"k{i}": list(range(100)) for i in range(10)}
    with pytest.raises(ConfigError, match=rf"runs\.r\.sweep: stands for {10**20} runs; at most {MOST_RUNS}"):
        swept(sweep=sweep)


def names(tmp_path: Any, **edits: Any) -> Experiment:
    return load_params(write(tmp_path, tree(**edits))).experiments["small"]


def test_a_run_may_start_from_one_of_a_sweep(tmp_path: Any) -> None:
    edits = {"runs/trades/sweep": {"beta": [1, 2]}, "runs/at/init": "trades-2"}
    params = names(tmp_path, **edits)
    assert params.entries["trades"] == ["trades-1", "trades-2"]
    assert params.runs["at"].entry.init == "trades-2"
    assert math.prod(map(len, params.entries.values())) == 2


def test_a_swept_name_must_not_be_another_runs(tmp_path: Any) -> None:
    edits = {"runs/trades/sweep": {"beta": [1, 2]}, "runs/trades-2": {"method": "standard"}}
    with pytest.raises(
        ConfigError, match=r"runs\.trades-2: makes a run named 'trades-2', and so does runs\.trades;"
    ):
        names(tmp_path, **edits)
