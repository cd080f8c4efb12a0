"""`like: <study>`: its data sets, defaults and scales lie below those of the study that says so."""

from pathlib import Path
from typing import Any

import pytest

from robustfront.config.params import load_params
from robustfront.planning import load_plan
from small_params import Tree, full_complaint, tree, write
from study_files import split, write_yaml

MINE = {"mine": {"method": "trades", "beta": 3}}
OWN_DATA = tree()["datasets"]["digits"] | {"normalisation": {"mean": [0.5], "std": [0.5]}}


def front(**content: Any) -> Tree:
    return {"like": "small", "runs": MINE} | content


def in_order(folder: Path, content: Tree, *names: str, **others: Tree) -> Path:
    """The studies listed in the order of `names`."""
    path = write(folder, content, **others)
    shared, _ = split(content)
    return write_yaml(path, shared | {"studies": [f"params/{name}.yaml" for name in names]})


def test_what_lies_below_is_taken_over_and_parts_of_it_are_replaced(tmp_path: Path) -> None:
    defaults = {"attack": {"steps": 8}, "suites": {"more": {"threat": {"eps": 0.2}, "attacks": {}}}}
    scales = {"wide": {"seeds": [7]}}
    path = write(tmp_path, tree(), front=front(defaults=defaults, scales=scales))
    params = load_params(path)
    small, mine = params.experiments["small"].scales, params.experiments["front"].scales
    assert set(mine) == {"tiny", "wide"}
    assert mine["wide"].model == small["wide"].model
    assert mine["wide"].datasets == small["wide"].datasets
    assert (mine["wide"].seeds, mine["tiny"].seeds, small["wide"].seeds) == ((7,), (0,), (0, 1))
    assert mine["tiny"].attack == small["tiny"].attack.model_copy(update={"steps": 8})
    assert list(mine["tiny"].suites) == ["pixel", "more"]
    assert mine["tiny"].suites["pixel"] == small["tiny"].suites["pixel"]
    assert list(small["tiny"].suites) == ["pixel"]


def test_runs_and_analyses_are_not_taken_over(tmp_path: Path) -> None:
    landscape = {"kind": "landscape", "runs": ["st"], "span": 0.1}
    edits = {
        "defaults/analyses": {"a": landscape},
        "scales/tiny/analyses": {"b": landscape},
        "scales/tiny/runs": ["st", "npgd"],
    }
    plan = load_plan(write(tmp_path, tree(**edits), front=front()))
    assert [run.names for run in plan.studies["front"].runs.values()] == [["mine"]]
    assert plan.studies["front"].analyses == {}
    assert len(plan.studies["small"].analyses) == 2


def test_data_sets_of_its_own_are_taken_over(tmp_path: Path) -> None:
    path = write(tmp_path, tree(), front=front(datasets={"own": OWN_DATA}))
    for scale in ("tiny", "wide"):
        write_yaml(
            tmp_path / "params" / "anew.yaml",
            {"like": "front", "runs": MINE, "scales": {scale: {"datasets": ["digits", "own"]}}},
        )
        shared, _ = split(tree())
        write_yaml(path, shared | {"studies": [f"params/{name}.yaml" for name in ("anew", "front", "small")]})
        study = load_plan(path, scale).studies["anew"]
        assert [dataset.name for dataset in study.datasets.values()] == ["digits", "own"]
        assert load_params(path).experiments["anew"].own == frozenset()
    write_yaml(
        tmp_path / "params" / "anew.yaml",
        {"like": "small", "runs": MINE, "scales": {"tiny": {"datasets": ["own"]}}},
    )
    assert full_complaint(path) == (
        f"{tmp_path}/params/anew.yaml: scales.tiny.datasets: there is no 'own' (known: digits, mnist)"
    )


@pytest.mark.parametrize("order", [("small", "front", "back"), ("back", "front", "small")])
def test_like_of_like_lies_in_the_middle(tmp_path: Path, order: tuple[str, ...]) -> None:
    middle = front(defaults={"attack": {"steps": 8, "restarts": 2}, "threat": {"eps": 0.5}})
    back = {"like": "front", "runs": MINE, "scales": {"tiny": {"attack": {"steps": 9}}}}
    path = in_order(tmp_path, tree(), *order, front=middle, back=back)
    scale = load_params(path).experiments["back"].scales["tiny"]
    assert (scale.attack.steps, scale.attack.restarts, scale.attack.step_size) == (9, 2, 2 / 255)
    assert (scale.threat.eps, scale.model.width) == (0.5, 4)


def test_equal_runs_of_a_study_and_of_one_like_it_are_one_run(tmp_path: Path) -> None:
    plan = load_plan(
        write(tmp_path, tree(), front=front(runs={"again": tree()["runs"]["trades"], "st": "small/st"}))
    )
    assert [run.names for run in plan.studies["front"].runs.values()] == [["st"], ["again"]]
    assert ["small/trades", "front/again"] in [run.names for run in plan.runs.values()]
    assert len(plan.runs) == 6


def test_cycles_and_unknown_studies_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, tree(like="back"), front=front(), back={"like": "front", "runs": MINE})
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: like = 'small': the studies small -> back -> front -> small are "
        "like each other; remove one `like`"
    )
    path = write(tmp_path, tree(), front=front(like="smal"))
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: like = 'smal': `studies` of params.yaml has no such study "
        "(did you mean 'small'?)"
    )
    path = write(
        tmp_path, tree(), front=front(like="back"), back=front(like="front"), more=front(like="front")
    )
    assert full_complaint(path).startswith(
        f"{tmp_path}/params/back.yaml: like = 'front': the studies front -> back"
    )


def test_a_study_outside_the_cycle_is_not_named_among_it(tmp_path: Path) -> None:
    others = {"front": front(like="back"), "back": front(like="front"), "more": front(like="front")}
    path = in_order(tmp_path, tree(), "more", "front", "back", "small", **others)
    assert full_complaint(path).endswith(
        "the studies front -> back -> front are like each other; remove one `like`"
    )


def test_a_long_line_of_studies_works_and_a_long_cycle_is_shown_in_short(tmp_path: Path) -> None:
    others = {f"s{i}": front(like=f"s{i - 1}" if i else "small") for i in range(200)}
    path = write(tmp_path, tree(), **others)
    assert len(load_params(path).experiments["s199"].scales) == 2
    others["s0"]["like"] = "s199"
    message = full_complaint(write(tmp_path, tree(), **others))
    assert " -> ... -> " in message
    assert len(message) < len(str(tmp_path)) + 300


def test_a_mistake_is_named_in_the_file_that_it_stands_in_whoever_reads_it_first(tmp_path: Path) -> None:
    for content, message in (
        (tree(**{"defaults/attack/stepz": 0}), "defaults.attack.stepz: unknown key (did you mean 'steps'?)"),
        (
            tree(**{"scales/tiny/datasets": ["digit"]}),
            "scales.tiny.datasets: there is no 'digit' (did you mean",
        ),
        (tree(**{"scales/tiny/attack": 3}), "scales.tiny.attack = 3: must be a mapping of keys to values"),
        (tree(**{"defaults/suites/pixel/name": "x"}), "defaults.suites.pixel.name: unknown key; the name is"),
    ):
        path = in_order(tmp_path, content, "front", "small", front=front())
        assert full_complaint(path).startswith(f"{tmp_path}/params/small.yaml: {message}")
    path = in_order(tmp_path, tree(), "front", "small", front=front())
    scales = split(tree())[1]["scales"]
    write_yaml(tmp_path / "params" / "small.yaml", split(tree())[1] | {"scales": scales | {"wyde": {}}})
    assert full_complaint(path).startswith(
        f"{tmp_path}/params/small.yaml: scales.wyde: `scales` of params.yaml"
    )


def test_a_data_set_of_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    problem = (
        "there is a data set of that name already, shared or of a study that this one is like; "
        "rename this one"
    )
    path = write(tmp_path, tree(), front=front(datasets={"digits": OWN_DATA}))
    assert full_complaint(path) == f"{tmp_path}/params/front.yaml: datasets.digits: {problem}"
    others = {
        "front": front(datasets={"own": OWN_DATA}),
        "back": front(like="front", datasets={"own": OWN_DATA}),
    }
    assert full_complaint(write(tmp_path, tree(), **others)) == (
        f"{tmp_path}/params/back.yaml: datasets.own: {problem}"
    )


def test_two_studies_that_know_nothing_of_each_other_may_name_data_sets_alike(tmp_path: Path) -> None:
    one = front(
        datasets={"own": OWN_DATA}, defaults={"datasets": ["own"]}, scales={"tiny": {"datasets": ["own"]}}
    )
    other = one | {"datasets": {"own": OWN_DATA | {"splits": {"validation": 100, "test": 100}}}}
    plan = load_plan(write(tmp_path, tree(), front=one, back=other))
    assert [dataset.name for dataset in plan.datasets.values()] == ["digits", "own", "own"]
    assert [run.config.dataset.splits.test for run in plan.runs.values() if run.is_called("mine")] == [
        400,
        100,
    ]


def test_data_sets_of_its_own_are_checked_with_its_file(tmp_path: Path) -> None:
    own = OWN_DATA | {"splits": {"validation": 2000, "test": 100}}
    path = write(tmp_path, tree(), front=front(datasets={"own": own}))
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: datasets.own.splits: digits has 1797 training images, "
        "too few for 100 test + 2000 validation + any training images"
    )
    path = write(tmp_path, tree(), front=front(datasets={"own": OWN_DATA | {"sauce": "digits"}}))
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: datasets.own.sauce: unknown key (did you mean 'source'?)"
    )
