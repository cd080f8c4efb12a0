"""Runs that stand for, or start from, those of another study: what may be written, and what is refused."""

import time
from pathlib import Path
from typing import Any

import pytest

from robustfront.config.params import load_params
from robustfront.planning import load_plan
from small_params import Tree, full_complaint, tree, write


def front(**runs: Any) -> Tree:
    return {"like": "small", "runs": runs}


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"st": "smal/st"}, "runs.st = 'smal/st': there is no study 'smal' (did you mean 'small'?)"),
        ({"st": "small/stt"}, "runs.st = 'small/stt': study 'small' has no run 'stt' (did you mean 'st'?)"),
        (
            {"st": "small/st/st"},
            "runs.st = 'small/st/st': study 'small' has no run 'st/st' (known: at, lse, npda, npgd, st, "
            "swept-1, swept-2, trades)",
        ),
        (
            {"s": "small/swept"},
            "runs.s: 'small/swept' is a sweep; name one of its runs (known: swept-1, swept-2)",
        ),
        (
            {"a": {"method": "pgd_at", "init": "small/swept"}},
            "runs.a.init: 'small/swept' is a sweep; name one of its runs (known: swept-1, swept-2)",
        ),
        (
            {"a": {"method": "pgd_at", "init": "smal/st"}},
            "runs.a.init = 'smal/st': there is no study 'smal' (did you mean 'small'?)",
        ),
        (
            {"a": {"method": "pgd_at", "init": "small/lsee"}},
            "runs.a.init = 'small/lsee': study 'small' has no run 'lsee' (did you mean 'lse'?)",
        ),
        (
            {"a": {"method": "pgd_at", "sweep": {"init": ["small/st", "small/stt"]}}},
            "runs.a.sweep.init = 'small/stt': study 'small' has no run 'stt' (did you mean 'st'?)",
        ),
        ({"a": {"method": "pgd_at", "init": "st"}}, "runs.a.init: there is no run 'st' (known: a)"),
        ({"a": "front/a"}, "runs.a: the runs a -> a start from, or stand for, each other"),
        (
            {"a": "front/b", "b": "front/a"},
            "runs.a: the runs a -> b -> a start from, or stand for, each other",
        ),
        (
            {"a": {"method": "pgd_at", "init": "b"}, "b": "front/a"},
            "runs.a.init: the runs a -> b -> a start from, or stand for, each other",
        ),
        (
            {"t-1": "small/st", "t": {"method": "trades", "sweep": {"beta": [1]}}},
            "runs.t-1: a sweep makes a run of that name, too; rename it",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_where_it_is_written(
    runs: Any, message: str, tmp_path: Path
) -> None:
    swept = {"method": "trades", "init": "st", "sweep": {"beta": [1, 2]}}
    path = write(tmp_path, tree(**{"runs/swept": swept}), front=front(**runs))
    assert full_complaint(path) == f"{tmp_path}/params/front.yaml: {message}"


def test_the_file_of_the_mistake_is_named_though_another_study_leads_there(tmp_path: Path) -> None:
    path = write(
        tmp_path, tree(**{"runs/at/init": "front/x"}), front=front(x="back/y"), back=front(y="back/z")
    )
    assert full_complaint(path) == f"{tmp_path}/params/back.yaml: runs.y: there is no run 'z' (known: y)"


@pytest.mark.parametrize(
    ("small", "front_", "message"),
    [
        (
            {"runs/st": "front/x"},
            {"x": {"method": "pgd_at", "init": "small/at"}},
            "small.yaml: runs.at.init: the runs small/at -> small/st -> front/x -> small/at start from, "
            "or stand for, each other",
        ),
        (
            {"runs/lse/init": "front/x"},
            {"x": {"method": "pgd_at", "init": "small/lse"}},
            "small.yaml: runs.lse.init: the runs small/lse -> front/x -> small/lse start from each other",
        ),
        (
            {"runs/at/init": "front/x"},
            {"x": "front/y", "y": "front/x"},
            "front.yaml: runs.x: the runs x -> y -> x start from, or stand for, each other",
        ),
    ],
)
def test_a_cycle_over_studies_is_refused(small: Any, front_: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, tree(**small), front=front(**front_))
    assert full_complaint(path) == f"{tmp_path}/params/{message}"


def test_a_chain_through_three_studies_is_followed(tmp_path: Path) -> None:
    at = {"method": "pgd_at", "init": "b"}
    path = write(
        tmp_path,
        tree(),
        front=front(a=at, b="back/b"),
        back=front(b={"method": "trades", "beta": 9, "init": "small/lse"}),
    )
    plan = load_plan(path)
    (run,) = (run for run in plan.runs.values() if "front/a" in run.names)
    start = plan.runs[run.config.init or ""]
    assert start.names == ["front/b", "back/b"]
    assert plan.runs[start.config.init or ""].names == ["small/lse"]


def between(count: int, link: Any) -> dict[str, Tree]:
    """Two studies, each run of one leading to one of the other by `link`, the last one to small/st."""
    runs: list[dict[str, Any]] = [{}, {}]
    for index in range(count):
        other = ("front", "back")[(index + 1) % 2]
        runs[index % 2][f"r{index}"] = link(f"{other}/r{index + 1}" if index + 1 < count else "small/st")
    return {"front": front(**runs[0]), "back": front(**runs[1])}


def starting(name: str) -> Any:
    return {"method": "pgd_at", "init": name}


def standing(name: str) -> Any:
    return name


@pytest.mark.parametrize(("link", "runs"), [(starting, 6 + 1099), (standing, 6)])
def test_long_chains_over_studies_are_followed(link: Any, runs: int, tmp_path: Path) -> None:
    path = write(tmp_path, tree(), **between(1100, link))
    began = time.process_time()
    plan = load_plan(path)
    assert time.process_time() - began < 20  # a few seconds; machines that run tests are busy
    assert len(plan.runs) == runs  # the last one of each chain is a run of the small study
    assert len(plan.studies["front"].find("r0", next(iter(plan.datasets)))) == 1


@pytest.mark.parametrize("link", [starting, standing])
def test_a_long_cycle_over_studies_is_found_and_shown_in_short(link: Any, tmp_path: Path) -> None:
    others = between(1100, link)
    others["back"]["runs"]["r1099"] = link("front/r0")
    message = full_complaint(write(tmp_path, tree(), **others))
    assert message.startswith(f"{tmp_path}/params/front.yaml: runs.r0")
    assert ": the runs front/r0 -> back/r1 -> front/r2 -> " in message
    assert " -> ... -> front/r0 start from" in message
    assert len(message) < len(str(tmp_path)) + 300


def test_runs_of_a_study_are_told_from_those_that_it_borrows(tmp_path: Path) -> None:
    path = write(tmp_path, tree(), front=front(st="small/st", mine=starting("st")))
    experiment = load_params(path).experiments["front"]
    assert set(experiment.runs) == {"mine"}
    assert experiment.borrowed == {"st": "small/st"}
    assert experiment.entries == {"st": ["st"], "mine": ["mine"]}
