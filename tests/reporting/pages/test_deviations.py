import copy
import json
from pathlib import Path
from typing import Any

import pytest
from study_project import StudyProject

from robustfront.config.yaml_loader import load_yaml
from robustfront.planning import load_plan
from robustfront.planning.study import StudyPlan
from robustfront.reporting.deviations import as_published, compare, label, left_open, otherwise
from robustfront.reporting.naming import among


def expected(setting: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"setting": setting, "value": value, "quote": "so they say", "where": "section 4"} | more


def found(project: StudyProject, *settings: dict[str, Any]) -> list[dict[str, str]]:
    """Of each setting: our deviating values -> whose they are."""
    project.facts(expected=list(settings))
    plan = project.plan
    return [
        {value: among(plan, runs) if runs else "" for value, runs in one.found.items()}
        for one in compare(plan)
    ]


def test_a_setting_is_compared_with_that_of_every_run_it_is_said_of(empty: StudyProject) -> None:
    assert found(
        empty,
        expected("training.epochs", 4),
        expected("training.epochs", 200),
        expected("params.threat.eps", 0.1, runs="adversarial"),
        expected("model.pretrained", "imagenet", runs="standard"),
        expected("params.loss", "lse", runs=["st"]),
        expected("init", "other", runs=["pgd-at"]),
        expected("init", "st", runs=["pgd-at"]),
        expected("model.depth", 18, runs=["a run that is not here"]),
    ) == [
        {},
        {"4": "all runs"},
        {"0.3": "pgd-at"},
        {"from scratch": "st"},
        {"ce": "st"},
        {"st": "pgd-at"},
        {},
    ]


@pytest.mark.parametrize(
    ("setting", "value", "differs"),
    [
        ("suites.near.threat.eps", 0.25, {}),
        ("suites.near.threat.eps", "63.75/255", {}),
        ("suites.near.threat.eps", "8/255", {"0.25": ""}),
        ("suites.near.attacks.pgd.steps", [5, 20], {}),
        ("suites.near.attacks.pgd.steps", [10, 20], {"5": ""}),
        ("suites.near.attacks.none-such.steps", 10, {"none": ""}),
        ("suites.near.samples.strong", None, {}),
        ("suites.near.samples.strong", 8, {"none": ""}),
        ("dataset.normalisation.mean", [[0.3], [0.5]], {}),
        ("dataset.normalisation.mean", [[0.3, 0.3]], {"(0.3)": "all runs"}),
        ("dataset.normalisation.mean", [["76.5/255"]], {}),
        ("training.optimizer.nesterov", True, {"no": "all runs"}),
        ("training.optimizer.nesterov", 0, {"no": "all runs"}),
        ("training.optimizer.lr", 0.10000001, {}),
        ("training.optimizer.lr", 0.101, {"0.1": "all runs"}),
        ("model.feature_count", 64, {}),
    ],
)
def test_values_are_compared_as_a_person_would(
    empty: StudyProject, setting: str, value: Any, differs: Any
) -> None:
    assert found(empty, expected(setting, value)) == [differs]


def test_what_may_differ_is_shown_and_does_not_cost_the_label(empty: StudyProject) -> None:
    about = {"datasets": {"THEIRS": ["digits"]}, "same": {"THEIRS": ["digits"]}}
    empty.facts(**about, expected=[expected("training.epochs", 5, may_differ=True)])
    (one,) = compare(empty.plan)
    assert (list(one.found), one.costs, label(empty.plan)) == (["4"], False, "as published")
    empty.facts(**about, expected=[expected("training.epochs", 5)])
    (one,) = compare(empty.plan)
    assert (one.costs, label(empty.plan)) == (True, "tiny scale: not comparable in value")


def test_numbers_of_another_data_set_are_not_as_published(empty: StudyProject) -> None:
    empty.facts(datasets={"THEIRS": ["digits"]})
    assert label(empty.plan) == "tiny scale: not comparable in value"


def test_a_study_that_stands_beside_no_paper_has_nothing_to_compare_in_value(empty: StudyProject) -> None:
    assert label(empty.plan) == "tiny scale"


def test_what_is_left_open_is_listed_with_what_is_here(empty: StudyProject) -> None:
    notes = ("training.batch_size", "params.attack.steps", "suites.near.seed", "not.a.setting")
    empty.facts(unstated=[{"setting": setting, "note": "open"} for setting in notes])
    plan = empty.plan
    opens = [
        {value: among(plan, runs) if runs else "" for value, runs in one.found.items()}
        for one in left_open(plan)
    ]
    assert opens == [{"64": "all runs"}, {"3": "pgd-at"}, {"0": ""}, {}]
    assert compare(plan) == []


def test_many_runs_are_said_in_few_words(empty: StudyProject) -> None:
    more = {f"more-{number}": {"method": "trades", "init": "st", "beta": 2.0 + number} for number in range(9)}
    empty.write(
        **{
            "scales/tiny/seeds": [0, 1],
            "runs": {"st": {"method": "standard", "loss": "ce"}, **more},
        }
    )
    plan = empty.plan
    runs = {(run.names[0], run.config.seed): run.id for run in plan.runs.values()}
    assert among(plan, [*runs.values()]) == "all runs"
    assert among(plan, [id for (name, _), id in runs.items() if name != "st"]) == "all adversarial runs"
    assert among(plan, [runs["st", 0]]) == "st, seed 0"
    assert (
        among(plan, [*set(runs.values()) - {runs["more-3", 0], runs["more-3", 1]}]) == "all runs but more-3"
    )
    eight = [id for (name, seed), id in runs.items() if name.startswith("more") and seed == 0][:8]
    assert among(plan, eight).startswith("more-0, seed 0, more-1, seed 0")
    assert among(plan, eight).endswith(" and 2 more")


# ------------------------------------------------------------------------------------------------ NPAT's own
@pytest.fixture
def npat(project: Path, tmp_path: Path) -> Any:
    """The `paper` scale of NPAT with edits of its params: key with `/` between levels -> value."""
    params, study = load_yaml(project / "params.yaml"), load_yaml(project / "params" / "npat.yaml")

    def plan(**edits: Any) -> StudyPlan:
        content = copy.deepcopy(study)
        for key, value in edits.items():
            place = content["scales"]["paper"]
            *parents, last = key.split("/")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        (tmp_path / "params").mkdir(exist_ok=True)
        (tmp_path / "params" / "npat.yaml").write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "params.yaml").write_text(
            json.dumps(params | {"studies": ["params/npat.yaml"]}), encoding="utf-8"
        )
        return load_plan(tmp_path / "params.yaml", "paper").studies["npat"]

    return plan


IMAGENET = {"model/pretrained": "imagenet"}


def deviating(plan: StudyPlan) -> dict[str, bool]:
    return {one.expected.setting: one.costs for one in compare(plan) if one.found}


def test_the_paper_scale_is_as_published_but_for_its_start_from_scratch(npat: Any) -> None:
    assert deviating(npat()) == {"model.pretrained": True, "training.precision": False}
    assert label(npat()) == "paper scale: not comparable in value"
    assert label(npat(**IMAGENET)) == "as published"


def test_sizes_are_judged_in_the_papers_suite_once_nothing_is_done_otherwise(npat: Any) -> None:
    assert set(map(tuple, as_published(npat()).values())) == {()}
    plan = npat(**IMAGENET)
    assert [plan.published_as(key) for key in plan.datasets] == ["CIFAR10", "SVHN"]
    assert list(as_published(plan).values()) == [["paper-space"], ["paper-space"]]
    plan = npat(**IMAGENET, datasets=["cifar10", "digits"])
    assert list(as_published(plan).values()) == [["paper-space"], []]


def test_what_runs_have_instead_of_a_stated_setting(npat: Any) -> None:
    plan = npat()
    found = otherwise(plan, "model.pretrained")
    assert {plan.runs[run].config.method for run in found} == {"standard"}
    assert {*found.values()} == {"from scratch"}
    assert otherwise(npat(**IMAGENET), "model.pretrained") == {}
    assert otherwise(plan, "training.batch_size") == {}  # of which the paper says nothing


def test_a_small_paper_scale_shows_all_that_is_small_and_loses_the_label(npat: Any) -> None:
    budgets = {
        f"training/{budget}/{key}": value
        for budget in ("standard", "adversarial")
        for key, value in {"epochs": 1, "optimizer/lr": 0.5}.items()
    }
    plan = npat(**{"model/depth": 10, "suites/paper-space/samples/autoattack": 8} | budgets)
    assert deviating(plan).keys() >= {"training.epochs", "suites.paper-space.samples.autoattack"}
    opens = {one.setting: list(one.found) for one in left_open(plan)}
    assert opens["model.depth"] == ["10"]
    assert opens["training.optimizer.lr"] == ["0.5"]
    assert label(plan) == "paper scale: not comparable in value"


@pytest.mark.parametrize(
    ("edits", "settings"),
    [
        ({"training/adversarial/epochs": 1}, {"training.epochs"}),
        ({"model/width": 32, "model/pretrained": None}, {"model.width", "model.pretrained"}),
        ({"threat/eps": "8/255"}, {"params.threat.eps"}),
        ({"threat/space": "pixel"}, {"params.threat.space"}),
        ({"attack/steps": 7}, {"params.attack.steps"}),
        ({"attack/start": "uniform"}, {"params.attack.start"}),
        ({"suites/paper-space/threat/eps": "4/255"}, {"suites.paper-space.threat.eps"}),
        (
            {"suites/paper-space/attacks/autoattack/version": "rand"},
            {"suites.paper-space.attacks.autoattack.version"},
        ),
    ],
)
def test_what_the_paper_states_costs_the_label(npat: Any, edits: Any, settings: set[str]) -> None:
    plan = npat(**IMAGENET | edits)
    assert {setting for setting, costs in deviating(plan).items() if costs} >= settings
    assert label(plan) != "as published"


def test_precision_number_of_images_and_engine_do_not(npat: Any) -> None:
    suite = "suites/paper-space"
    plan = npat(
        **IMAGENET,
        **{f"{suite}/samples/autoattack": 8, f"{suite}/attacks/autoattack/engine": "fast"},
    )
    assert deviating(plan) == {
        "training.precision": False,
        "suites.paper-space.samples.autoattack": False,
        "suites.paper-space.attacks.autoattack.engine": False,
    }
    assert label(plan) == "as published"


def test_every_quote_stands_in_the_paper(project: Path, npat: Any) -> None:
    paper = project.parent / "shared" / "papers" / "S000-npat.txt"
    if not paper.is_file():
        pytest.skip(
            "needs ../shared/papers/S000-npat.txt, the text of the paper, which is not on this machine"
        )
    text = " ".join(paper.read_text(encoding="utf-8").split())
    quotes = [" ".join(one.quote.split()) for one in npat().study.facts.expected]
    assert [quote for quote in quotes if quote not in text] == []
    assert len(quotes) > 30


def test_what_is_expected_is_not_left_open_for_the_same_runs(npat: Any) -> None:
    facts = npat().study.facts
    for_all = {one.setting for one in facts.expected if one.runs == "all"}
    assert for_all & {one.setting for one in facts.unstated} == set()
