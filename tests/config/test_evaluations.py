from typing import Any

import pytest

from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import Evaluation, Suite, of_suite, views
from robustfront.config.layers import Layer
from robustfront.config.validation import validate
from robustfront.errors import ConfigError

PGD = {"kind": "pgd", "steps": 500, "step_size": 0.01}
LONG = PGD | {"also": {"pgd-20": 20, "pgd-1": 1}}


def suite(**changes: Any) -> Suite:
    content = {"name": "s", "threat": {"eps": 0.1}, "attacks": {"long": LONG, "aa": {"kind": "autoattack"}}}
    return validate(Suite, [Layer("suites.s", content | changes)], source="params.yaml")


def test_a_suite_consists_of_evaluations_clean_first_and_the_checks_last() -> None:
    found = of_suite(suite(samples={"aa": 9}, seed=3, batch_size=7, split="validation"))
    assert list(found) == ["clean", "long", "aa", "masking"]
    assert found["clean"].threat is None
    assert {evaluation.split for evaluation in found.values()} == {"validation"}
    assert {evaluation.batch_size for evaluation in found.values()} == {7}
    assert {name: evaluation.samples for name, evaluation in found.items() if evaluation.samples} == {"aa": 9}
    assert {found[name].seed for name in ("long", "aa", "masking")} == {3}
    assert found["aa"].attack == AutoAttackEvaluation()
    assert "masking" not in of_suite(suite(masking=False))


def test_the_clean_images_are_the_same_evaluation_whatever_is_attacked_how() -> None:
    other = suite(threat={"eps": 0.2}, seed=1, masking=False)
    assert of_suite(other)["clean"] == of_suite(suite())["clean"]


def test_outcomes_on_the_way_are_shown_under_the_users_names() -> None:
    assert views(suite()) == {
        "clean": ("clean", "final"),
        "long": ("long", "final"),
        "pgd-20": ("long", "step-20"),
        "pgd-1": ("long", "step-1"),
        "aa": ("aa", "final"),
    }
    evaluations = of_suite(suite())
    assert evaluations["long"].outcomes == ("final", "step-1", "step-20")
    assert (evaluations["masking"].outcomes, evaluations["aa"].outcomes) == ((), ("final",))
    for evaluation, outcome in views(suite()).values():
        assert outcome in evaluations[evaluation].outcomes


def test_names_of_outcomes_do_not_tell_attacks_apart() -> None:
    renamed = suite(attacks={"x": PGD | {"also": {"b": 1, "a": 20, "c": 20}}})
    assert of_suite(renamed)["x"] == of_suite(suite())["long"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attacks": {"a": PGD | {"also": {"b": 500}}}}, "suites.s.attacks.a: also.b = 500: must be fewer"),
        ({"attacks": {"a": LONG | {"restarts": 2}}}, "suites.s.attacks.a: also: needs restarts 1"),
        ({"attacks": {"a": PGD | {"also": {"clean": 5}}}}, r"attacks.a.also: 'clean' is the name of a row"),
        ({"attacks": {"masking": PGD}}, "attacks: 'masking' is the name of a row"),
        ({"attacks": {"worst-case": PGD}}, "attacks: 'worst-case' is the name of a row"),
        ({"attacks": {"pgd-20": PGD, "a": LONG}}, "attacks.a.also: 'pgd-20' is also a name in attacks;"),
        ({"attacks": {"a": LONG, "b": LONG}}, r"attacks.b.also: 'pgd-20' is also a name in attacks.a.also;"),
        ({"attacks": {"a": PGD | {"also": {"b": 0}}}}, r"suites.s.attacks.a.also.b = 0: must"),
        ({"samples": {"lon": 3}}, r"samples: unknown attack 'lon' \(did you mean 'long'"),
        ({"split": "tests"}, r"suites.s.split = 'tests': .*did you mean 'test'"),
    ],
)
def test_a_mistake_is_named_with_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        suite(**changes)


def test_attacks_have_a_threat_and_clean_images_none() -> None:
    threat = {"eps": 0.1}
    for content in ({"attack": {"kind": "clean"}, "threat": threat}, {"attack": {"kind": "masking"}}):
        with pytest.raises(ValueError, match="give a threat to all but the clean images"):
            Evaluation.model_validate(content)


class Network:
    def __init__(self, looks_at_batches: bool) -> None:
        self.looks_at_batches, self.usual = looks_at_batches, None


def test_no_image_is_left_out_of_whole_batches() -> None:
    short = PGD | {"steps": 5, "restarts": 3}
    standing, every = (
        suite(attacks={"pgd": short | {"restarts_on": name}}, whole_batches=True)
        for name in ("standing", "all")
    )
    alone, whole = Network(looks_at_batches=False), Network(looks_at_batches=True)
    assert of_suite(standing, whole) == of_suite(every, whole)
    assert of_suite(standing, alone) != of_suite(every, alone)
    asked = of_suite(standing, alone)["pgd"]
    with pytest.raises(ValueError, match="leaves images out of a batch, which whole_batches does not allow"):
        Evaluation.model_validate(asked.model_dump() | {"whole_batches": True})


def test_an_evaluation_survives_its_record() -> None:
    for evaluation in of_suite(suite()).values():
        assert Evaluation.model_validate(evaluation.model_dump(mode="json")) == evaluation


def test_the_attack_itself_is_the_first_of_its_stops() -> None:
    attack = PGDEvaluation.model_validate(LONG)
    assert list(attack.stops.items()) == [("final", 500), ("step-1", 1), ("step-20", 20)]
