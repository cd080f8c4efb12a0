"""What a network is decides what a suite does with it, and whether it can: all known before anything runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from robustfront.config.evaluations import Evaluation
from robustfront.config.networks import PreActResNet
from robustfront.planning import Plan, load_plan
from small_params import STUDY, complaint, tree
from study_files import write

UNTRACKED = {"batch_norm": {"kind": "untracked"}}
ALLOWED = {"defaults/suites/pixel/whole_batches": True}


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    def made(**edits: Any) -> Plan:
        return load_plan(write(tmp_path, tree(**edits)))

    return made


def own(kind: dict[str, Any]) -> dict[str, Any]:
    """A run of its own kind of batch norm beside those of the tree."""
    return {"runs/own": {"method": "standard", "loss": "ce", "model": {"batch_norm": kind}}}


def of(plan: Plan, name: str) -> dict[str, tuple[str, Evaluation]]:
    study = plan.studies[STUDY]
    (run,) = (run for run in study.runs.values() if name in run.names)
    return study.evaluations(run.id)["pixel"]


def test_a_network_that_looks_at_batches_is_refused_where_no_suite_allows_it(tmp_path: Path) -> None:
    message = complaint(write(tmp_path, tree(**own({"kind": "untracked"}))))
    assert message == (
        "scales.tiny.suites.pixel.whole_batches = false: the network of run 'own' has batch norm of kind "
        "untracked, so its answer to an image depends on the rest of the batch: set it to true for marked "
        "numbers, or give it model.batch_norm of kind tracked or re-estimated"
    )


def test_analyses_of_it_are_refused(tmp_path: Path) -> None:
    analysis = {"surface": {"kind": "landscape", "runs": ["own"], "span": 0.1}}
    edits = own({"kind": "untracked"}) | ALLOWED | {"defaults/analyses": analysis}
    message = complaint(write(tmp_path, tree(**edits)))
    assert re.match(r"scales\.tiny\.analyses\.surface\.runs: .*'own'.*leave it out here", message)


def test_a_batch_of_one_image_is_refused(tmp_path: Path) -> None:
    edits = ALLOWED | {"defaults/suites/pixel/samples": {"aa": 1}}
    assert "samples.aa = 1: a network that looks at the rest" in complaint(write(tmp_path, tree(**edits)))


def test_its_batches_are_part_of_the_evaluation_and_no_others(plan: Any) -> None:
    edits = own({"kind": "untracked"}) | ALLOWED
    before, after = plan(**edits), plan(**edits, **{"defaults/suites/pixel/batch_size": 100})
    for name in ("clean", "pgd", "masking"):
        assert of(before, "own")[name][0] != of(after, "own")[name][0]
        assert of(before, "st")[name][0] == of(after, "st")[name][0] == of(plan(), "st")[name][0]
    found = of(plan(**edits, **{"defaults/suites/pixel/seed": 3}), "own")
    assert {one.seed for _, one in found.values()} == {3}, "clean images are in the same company"
    assert all(one.whole_batches for _, one in found.values())


def test_a_re_estimated_network_is_evaluated_like_any_other(plan: Any) -> None:
    made = plan(**own({"kind": "re-estimated", "batches": 4}))
    assert of(made, "own") == of(made, "st")
    ids = {run.id for run in made.runs.values() if run.is_called("own")}
    others = {run.id for run in plan(**own({"kind": "re-estimated", "batches": 5})).runs.values()}
    assert not ids & others


def test_what_is_as_before_has_the_ids_of_before(plan: Any) -> None:
    said = {"defaults/model/batch_norm": {"kind": "tracked"}, "defaults/suites/pixel/condition": 0.3}
    said |= {"defaults/suites/pixel/judged_at": {"pgd": {"at-1": 1.0}}} | ALLOWED
    assert plan(**said).evaluations == plan().evaluations
    assert plan(**said).runs.keys() == plan().runs.keys()


def test_a_conditional_network_has_an_evaluation_for_each_condition(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = of(plan(), "st")
    monkeypatch.setattr(PreActResNet, "usual", 0.5)
    usual, said = plan(), plan(**{"defaults/suites/pixel/condition": 0.5})
    assert {one.condition for _, one in of(usual, "st").values()} == {0.5}
    assert of(usual, "st") == of(said, "st"), "what is usual need not be said"
    other = plan(**{"defaults/suites/pixel/condition": 1})
    keys = [{key for key, _ in found.values()} for found in (without, of(usual, "st"), of(other, "st"))]
    assert len(set.union(*keys)) == 12
    judged = {"pgd": {"at-1": 1.0, "at-0": -0.0, "here": 0.5}}
    evaluations = of(plan(**{"defaults/suites/pixel/judged_at": judged}), "st")
    assert evaluations["pgd"][1].judged_at == (0.0, 1.0)
    assert evaluations["pgd"][1].outcomes == ("final", "given-0", "given-1")
    assert {name: evaluations[name] for name in ("clean", "aa", "masking")} == {
        name: of(usual, "st")[name] for name in ("clean", "aa", "masking")
    }


@pytest.mark.parametrize(
    ("judged", "message"),
    [
        ({"pdg": {"x": 1}}, "judged_at: unknown attack 'pdg' (did you mean 'pgd'?)"),
        ({"pgd": {"aa": 1}}, "judged_at.pgd: 'aa' is also a name in attacks"),
        ({"pgd": {"x": "one"}}, "judged_at.pgd.x = 'one': must be a number"),
    ],
)
def test_mistakes_are_named(judged: dict[str, Any], message: str, tmp_path: Path) -> None:
    edits = {"defaults/suites/pixel/judged_at": judged}
    assert message in complaint(write(tmp_path, tree(**edits)))
