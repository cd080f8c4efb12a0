"""Claims that name suites: in which they are judged, and whose numbers of a run are meant."""

from pathlib import Path
from typing import Any

import pytest

from finished_study import NPAT, FinishedStudy
from robustfront.errors import ConfigError
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import Claim, load_claims


@pytest.fixture
def project(empty_project: FinishedStudy) -> FinishedStudy:
    """`st`: of 400 images 160 fall to AutoAttack in one suite, 240 in the other, the 160 among them."""
    empty_project.studied(NPAT, same={"CIFAR10": ("digits",)})
    empty_project.add("st", {"paper-space": (20, 150, 160), "pixel-space": (20, 230, 240)})
    return empty_project


def claim(of: str, minus: str, error: str = "autoattack", **others: Any) -> Claim:
    predicate = {"kind": "difference", "table": "table1", "error": error, "of": [of], "minus": [minus]}
    about = {"id": "c", "statement": "it holds", "where": "section 4", "reason": "why"}
    content = {"datasets": ["CIFAR10"], "predicates": [predicate | {"at_most": 0}]}
    return Claim.model_validate(about | content | others)


def verdicts(project: FinishedStudy, *claims: Claim) -> dict[str, dict[str, Any]]:
    table = judge(claims, project.results)
    return {line["suite"]: line for line in table.to_dict("records")}


def test_a_run_of_a_named_suite_is_the_same_whichever_suite_is_judged(project: FinishedStudy) -> None:
    found = verdicts(project, claim("st@pixel-space", "st@paper-space"))
    for suite in ("paper-space", "pixel-space"):
        assert found[suite]["value_points"] == pytest.approx(20)
        assert found[suite]["p"] < 1e-20  # paired: no image falls in paper-space alone
        assert found[suite]["verdict"] == "not reproduced"
    assert found["published"]["verdict"] == "no numbers"


def test_without_a_suite_it_is_the_one_that_is_judged(project: FinishedStudy) -> None:
    found = verdicts(project, claim("st", "st@paper-space"))
    assert found["paper-space"]["value_points"] == pytest.approx(0)
    assert found["pixel-space"]["value_points"] == pytest.approx(20)


def test_a_suite_that_the_scale_lacks_leaves_it_open(project: FinishedStudy) -> None:
    line = verdicts(project, claim("st@at-1", "st"))["paper-space"]
    assert line["verdict"] == "undecided at this scale"
    assert "suite at-1 is not part of this scale" in line["reason"]


def test_what_refutes_a_number_is_looked_for_where_the_number_is(empty_project: FinishedStudy) -> None:
    empty_project.studied(NPAT, same={"CIFAR10": ("digits",)})
    empty_project.add("st", {"paper-space": (20, 150, 160), "pixel-space": (20, 60, 240)})
    line = verdicts(empty_project, claim("st@pixel-space", "st@paper-space", "pgd"))["paper-space"]
    assert line["value_points"] == pytest.approx(-22.5)
    assert line["refuted"] == "st@pixel-space"
    assert line["verdict"] == "undecided at this scale"


def test_claims_are_judged_in_the_suites_that_they_name(project: FinishedStudy, tmp_path: Path) -> None:
    assert list(verdicts(project, claim("st", "st", suites={"pixel-space": "pixel-space"}))) == [
        "published",
        "pixel-space",
    ]
    path = tmp_path / "claims.yaml"
    predicate = "{kind: unmasked, table: t, runs: [st@at-1], tolerance: 0}"
    one = f"{{id: a, statement: s, where: w, reason: r, predicates: [{predicate}]}}"
    path.write_text(f"suites: {{near: at-1}}\nclaims: [{one}]")
    assert [found.suites for found in load_claims(path)] == [{"near": "at-1"}]


@pytest.mark.parametrize("name", ["st@", "@at-1", "st@at/1", "s/t"])
def test_what_names_neither_a_run_nor_a_suite_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    predicate = f"{{kind: unmasked, table: t, runs: ['{name}'], tolerance: 0}}"
    path.write_text(f"claims: [{{id: a, statement: s, where: w, reason: r, predicates: [{predicate}]}}]")
    with pytest.raises(ConfigError, match=r"claims\[0\].predicates\[0\].runs"):
        load_claims(path)
