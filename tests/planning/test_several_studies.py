"""Plans of several studies: what they share is made once, and each has its own view of it."""

from pathlib import Path
from typing import Any

import pytest

from robustfront.errors import ConfigError
from robustfront.planning import Plan, Plans, load_plan
from small_params import Tree, full_complaint, tree, write
from study_files import split, write_yaml

AT = {"method": "pgd_at", "init": "st"}


def front(**content: Any) -> Tree:
    return {"like": "small", "runs": {"st": "small/st"}} | content


def alone(**content: Any) -> Tree:
    """A study with all the small one has, but by itself."""
    return split(tree())[1] | content


def names(plan: Plan) -> list[list[str]]:
    return [run.names for run in plan.runs.values()]


def by_name(plan: Plan, name: str) -> str:
    (found,) = (run.id for run in plan.runs.values() if name in run.names)
    return found


def test_a_borrowed_run_is_that_of_its_study_and_is_made_once(tmp_path: Path) -> None:
    before = load_plan(write(tmp_path, tree()))
    runs = {
        "base": "small/npgd",
        "mine": {"method": "npgd", "init": "small/st", "generator": "pgd", "beta": 9},
    }
    plan = load_plan(write(tmp_path, tree(), front=front(runs=runs)))
    assert plan.runs.keys() - before.runs.keys() == {by_name(plan, "front/mine")}
    assert by_name(plan, "front/base") == by_name(plan, "small/npgd") == by_name(before, "small/npgd")
    assert plan.runs[by_name(plan, "front/mine")].config.init == by_name(before, "small/st")
    assert plan.projectors.keys() == before.projectors.keys()
    study = plan.studies["front"]
    assert [run.names for run in study.runs.values()] == [[], ["base"], ["mine"]]
    assert [run.names for run in plan.studies["small"].runs.values()] == [[name] for name in tree()["runs"]]
    assert names(plan)[:1] + names(plan)[4:5] == [["small/st"], ["small/npgd", "front/base"]]


def test_a_borrowed_run_is_as_its_own_study_has_it(tmp_path: Path) -> None:
    """Its budget and model are those that its own study has at the scale; data sets and seeds are not."""
    changed = {
        "tiny": {"training": {"standard": {"epochs": 9}}, "seeds": [0, 5], "datasets": ["digits", "mnist"]}
    }
    runs = {"st": "small/st", "again": tree()["runs"]["st"]}
    plan = load_plan(write(tmp_path, tree(), front=front(runs=runs, scales=changed)))
    study = plan.studies["front"]
    digits, mnist = study.datasets
    assert [run.config.training.epochs for run in study.find("st", digits)] == [2, 2]
    assert [run.config.training.epochs for run in study.find("again", digits)] == [9, 9]
    assert [run.config.seed for run in study.find("st", mnist)] == [0, 5]
    assert [names for names in names_of(plan, "front/st") if "small/st" in names] == [
        ["small/st", "front/st"]
    ]
    assert len(names_of(plan, "front/st")) == 4


def test_a_run_is_attacked_by_the_suites_of_all_studies_that_have_it(tmp_path: Path) -> None:
    other = {"threat": {"eps": 0.2}, "attacks": {}}
    runs = {"st": "small/st", "new": {"method": "trades", "init": "small/st", "beta": 9}}
    changed = front(runs=runs, scales={"tiny": {"suites": {"mine": other}}})
    plan = load_plan(write(tmp_path, tree(), front=changed))
    small, study = plan.studies["small"], plan.studies["front"]
    shared, alone = by_name(plan, "small/st"), by_name(plan, "front/new")
    others = [name for name in small.suites_of(shared) if name not in small.suites]
    assert "front/mine" in others
    assert all(name.startswith("front/") for name in others)
    assert small.evaluation_id(shared, "front/mine", "masking") in study.wanted(shared)
    assert not [name for name in study.suites_of(alone) if "/" in name], "small has no such run"
    narrowed = load_plan(tmp_path / "params.yaml", studies=["small"]).studies["small"]
    assert narrowed.suites_of(shared) == narrowed.suites == small.suites


def names_of(plan: Plan, name: str) -> list[list[str]]:
    return [found for found in names(plan) if name in found]


def test_it_can_be_listed_by_a_scale_and_analysed(tmp_path: Path) -> None:
    landscape = {"kind": "landscape", "runs": ["st", "at"], "span": 0.1}
    shift = {
        "kind": "null-space",
        "runs": ["at"],
        "threat": {"eps": 0.1},
        "attack": {"steps": 1, "step_size": 0.1},
    }
    scales = {"tiny": {"runs": ["at"], "analyses": {"a": landscape, "b": shift}}}
    runs = {"st": "small/st", "at": "small/at", "other": AT | {"training": {"epochs": 7}}}
    plan = load_plan(write(tmp_path, tree(), front=front(runs=runs, scales=scales)))
    study = plan.studies["front"]
    assert [run.names for run in study.runs.values()] == [[], ["at"]]
    surfaces, shifts = study.analyses.values()
    assert list(surfaces.runs) == list(shifts.runs) == [by_name(plan, "small/at")]
    assert shifts.runs[by_name(plan, "small/at")] in plan.projectors
    assert plan.analysis_jobs == [(by_name(plan, "small/at"), key) for key in study.analyses]


def test_an_analysis_that_two_studies_want_is_one_on_the_runs_of_both(tmp_path: Path) -> None:
    landscape = {"kind": "landscape", "runs": ["st"], "span": 0.1}
    ours = front(runs={"st": "small/lse"}, defaults={"analyses": {"a": landscape}})
    plan = load_plan(write(tmp_path, tree(**{"defaults/analyses": {"a": landscape}}), front=ours))
    ((key, found),) = plan.analyses.items()
    assert list(found.runs) == [by_name(plan, "small/st"), by_name(plan, "small/lse")]
    assert list(plan.studies["small"].analyses[key].runs) == [by_name(plan, "small/st")]
    assert list(plan.studies["front"].analyses[key].runs) == [by_name(plan, "small/lse")]


def test_equal_evaluations_of_two_studies_are_one_and_others_add_to_them(tmp_path: Path) -> None:
    pixel = tree()["defaults"]["suites"]["pixel"]
    attacks = {"first": pixel["attacks"]["pgd"], "long": {"kind": "pgd", "steps": 9, "step_size": 0.01}}
    mine = {"renamed": pixel | {"attacks": attacks, "samples": {}, "masking": False}}
    others = {
        "front": front(),
        "back": alone(runs={"st": "small/st"}, defaults=tree()["defaults"] | {"suites": mine}),
    }
    plan = load_plan(write(tmp_path, tree(), **others))
    small, equal, other = (plan.studies[name] for name in ("small", "front", "back"))
    st, lse = (by_name(plan, f"small/{name}") for name in ("st", "lse"))
    assert small.wanted(st) == equal.wanted(st)
    assert other.evaluation_id(st, "renamed", "first") == small.evaluation_id(st, "pixel", "pgd")
    assert other.evaluation_id(st, "renamed", "clean") == small.evaluation_id(st, "pixel", "clean")
    more = other.evaluation_id(st, "renamed", "long")
    assert other.wanted(st).keys() - small.wanted(st).keys() == {more}
    for run in (st, lse):
        wanted = plan.evaluations[run]
        assert wanted == small.wanted(run) | (other.wanted(run) if run == st else {})
        assert (more in wanted) == (run == st)


def test_a_plan_is_narrowed_to_studies_and_what_their_runs_start_from(tmp_path: Path) -> None:
    runs = {"base": "small/at", "mine": {"method": "trades", "init": "small/lse", "beta": 9}}
    path = write(tmp_path, tree(), front=front(runs=runs), back=alone())
    whole, narrow = load_plan(path), load_plan(path, studies=["front"])
    assert list(narrow.studies) == ["front"]
    assert names(narrow) == [[], ["front/base"], [], ["front/mine"]]
    assert narrow.runs.keys() < whole.runs.keys()
    assert load_plan(path, studies=["back", "front"]).studies.keys() == {"front", "back"}
    assert list(load_plan(path, studies=["back", "front"]).studies) == ["front", "back"]
    assert list(load_plan(path, studies=[]).studies) == ["small", "front", "back"]
    for plan in (whole, narrow):
        assert plan.evaluations.keys() == plan.runs.keys()
    assert {name: list(plan.studies) for name, plan in Plans(path).scales.items()} == {
        "tiny": ["small", "front", "back"],
        "wide": ["small", "front", "back"],
    }
    with pytest.raises(
        ConfigError, match=r"params\.yaml: there is no study 'fron' \(did you mean 'front'\?\)$"
    ):
        load_plan(path, studies=["front", "fron"])


def test_a_mistake_in_a_study_that_is_not_asked_for_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, tree(), front=front(runs={"mine": {"method": "trades", "init": "small/st"}}))
    with pytest.raises(ConfigError, match=r"front\.yaml: runs\.mine\.beta: missing$"):
        load_plan(path, studies=["small"])


def test_a_study_without_the_scale_is_absent(tmp_path: Path) -> None:
    wide = alone(scales={"wide": split(tree())[1]["scales"]["wide"]}, runs={"st": tree()["runs"]["st"]})
    path = write(tmp_path, tree(), front=front(), back=wide)
    tiny, plans = load_plan(path), Plans(path).scales
    assert (list(tiny.studies), tiny.absent) == (["small", "front"], ["back"])
    assert (list(plans["wide"].studies), plans["wide"].absent) == (["small", "front", "back"], [])
    assert load_plan(path, studies=["front"]).absent == []
    with pytest.raises(ConfigError) as caught:
        load_plan(path, studies=["back"])
    assert str(caught.value) == (
        f"{path}: no study has a scale 'tiny' (asked: back); give one such a scale, or choose another"
    )


def test_a_scale_that_no_study_has_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    frame = {"note": "of none", "throughput": {"gflops": 1}}
    shared, own = split(tree())
    write_yaml(tmp_path / "params" / "small.yaml", own)
    path = write_yaml(tmp_path / "params.yaml", shared | {"scales": shared["scales"] | {"new": frame}})
    assert load_plan(path).scale == "tiny"
    assert Plans(path).scales["new"].absent == ["small"]
    with pytest.raises(
        ConfigError, match=r": no study has a scale 'new' \(asked: small\); give one such a scale"
    ):
        load_plan(path, "new")


def test_a_run_of_a_study_without_the_scale_is_refused(tmp_path: Path) -> None:
    wide = {"wide": split(tree())[1]["scales"]["wide"]}
    other = alone(scales=wide, runs={"st": tree()["runs"]["st"], "via": "back/st"})
    for runs, name in (
        ({"x": "back/st"}, "x"),
        ({"x": "back/via"}, "x"),
        ({"x": {"method": "pgd_at", "init": "back/via"}}, "back/via"),
    ):
        path = write(tmp_path, tree(), front=front(runs=runs), back=other)
        assert full_complaint(path) == (
            f"{tmp_path}/params/front.yaml: scales.tiny.runs: '{name}' is a run of study 'back', "
            "which has no such scale; give it one, or leave the run out"
        )
    runs = {"x": "back/st", "st": "small/st"}
    path = write(tmp_path, tree(), front=front(runs=runs, scales={"tiny": {"runs": ["st"]}}), back=other)
    assert [run.names for run in load_plan(path).studies["front"].runs.values()] == [["st"]]


def test_a_run_handed_on_by_a_study_without_the_scale_is_not_of_it(tmp_path: Path) -> None:
    wide = {"wide": split(tree())[1]["scales"]["wide"]}
    path = write(
        tmp_path,
        tree(),
        front=front(runs={"x": "back/via"}),
        back=alone(scales=wide, runs={"via": "small/lse"}),
    )
    assert by_name(load_plan(path), "front/x") == by_name(load_plan(path), "small/lse")


def test_names_that_mean_one_run_within_a_study_and_across_are_all_kept(tmp_path: Path) -> None:
    runs = {"a": "small/st", "b": "small/st", "c": "front/a", "d": tree()["runs"]["st"]}
    path = write(tmp_path, tree(**{"runs/again": tree()["runs"]["st"]}), front=front(runs=runs))
    plan = load_plan(path)
    assert names(plan)[0] == ["small/st", "small/again", "front/a", "front/b", "front/c", "front/d"]
    assert plan.studies["front"].runs[by_name(plan, "front/a")].names == ["a", "b", "c", "d"]
    assert plan.runs[by_name(plan, "front/a")].is_called("d")
    assert plan.runs[by_name(plan, "front/a")].is_called("front/d")
    assert not plan.runs[by_name(plan, "front/a")].is_called("small/d")


def test_what_a_study_borrows_its_lender_may_start_from(tmp_path: Path) -> None:
    """Seen from the lender its own run is not that of another study, though the way leads over one."""
    ours = front(runs={"x": {"method": "trades", "init": "small/st", "beta": 5}})
    plan = load_plan(
        write(tmp_path, tree(**{"runs/more": {"method": "pgd_at", "init": "front/x"}}), front=ours)
    )
    small = plan.studies["small"]
    assert [run.names for run in small.runs.values()].count([]) == 1
    assert by_name(plan, "small/st") == plan.runs[by_name(plan, "front/x")].config.init


def test_files_that_checksums_pin_may_lie_elsewhere_for_another_study(tmp_path: Path) -> None:
    mnist = tree()["datasets"]["mnist"]
    of_small = alone(runs={"st": tree()["runs"]["st"]}, scales={"tiny": {"datasets": ["own"]}})
    others = {
        name: of_small | {"datasets": {"own": mnist | {"path": path}}}
        for name, path in (("front", "/here"), ("back", "/there"))
    }
    plan = load_plan(write(tmp_path, tree(), **others))
    assert names_of(plan, "front/st") == [["front/st", "back/st"]]


def test_the_order_of_studies_changes_no_id(tmp_path: Path) -> None:
    path = write(tmp_path, tree(), front=front(), back=alone())
    before = load_plan(path)
    shared, _ = split(tree())
    write_yaml(path, shared | {"studies": [f"params/{name}.yaml" for name in ("back", "front", "small")]})
    after = load_plan(path)
    assert after.runs.keys() == before.runs.keys()
    assert after.evaluations == before.evaluations
    assert list(after.studies) == ["back", "front", "small"]


def test_the_papers_data_set_of_ours_is_known_by_study(tmp_path: Path) -> None:
    write_yaml(tmp_path / "front" / "params.yaml", front(scales={"tiny": {"datasets": ["digits", "mnist"]}}))
    write_yaml(tmp_path / "front" / "study.yaml", {"title": "x", "datasets": {"CIFAR10": ["digits"]}})
    path = write(tmp_path, tree())
    write_yaml(path, split(tree())[0] | {"studies": ["front", "params/small.yaml"]})
    plan = load_plan(path)
    digits, mnist = plan.datasets
    assert plan.studies["front"].published_as(digits) == "CIFAR10"
    assert plan.studies["front"].published_as(mnist) == ""
    assert plan.studies["small"].published_as(digits) == ""
