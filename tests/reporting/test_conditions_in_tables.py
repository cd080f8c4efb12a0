"""What a study shows of networks that take a condition, and of those that take none."""

import numpy as np
import pandas as pd
import pytest

from finished_study import CLASSES, FinishedStudy
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import FINAL, WORST_CASE, Suite
from robustfront.config.networks import PreActResNet
from robustfront.config.schema import Threat
from robustfront.evaluation import outcomes
from robustfront.evaluation.outcomes import Evaluated, fell, rate
from robustfront.reporting.columns import Column
from robustfront.reporting.published import Row
from robustfront.reporting.tables import TableSpec, reproduce

PGD = PGDEvaluation(steps=20, step_size=0.01)
SPEC = TableSpec(
    "T",
    {"name": "Run"},
    [Column(name, name, name, metric="error") for name in ("clean", "pgd", "elsewhere")],
    rows=[Row("1", "st", {"name": "st"})],
)


def suite(condition: float, elsewhere: float, **changes: object) -> Suite:
    content = {
        "name": f"at-{condition:g}",
        "threat": Threat(eps=0.1),
        "attacks": {"pgd": PGD},
        "condition": condition,
        "judged_at": {"pgd": {"elsewhere": elsewhere}},
    }
    return Suite.model_validate(content | changes)


@pytest.fixture
def told(empty_project: FinishedStudy, monkeypatch: pytest.MonkeyPatch) -> FinishedStudy:
    """A conditional run, masked where it is told 1, and judged there as well as told 0."""
    monkeypatch.setattr(PreActResNet, "usual", 0.5)
    empty_project.attacked(suite(0.0, 1.0), suite(1.0, 0.3))
    run = empty_project.add("st", {"at-0": (40, 100), "at-1": (40, 100)}, masked="at-1")
    for name, other in (("at-0", "given-1"), ("at-1", "given-0.3")):
        stem = empty_project.evaluation(run, name, "pgd").with_suffix("")
        outcomes.save(judged({FINAL: 100, other: 60}, run), stem)
    return empty_project


def judged(fallen: dict[str, int], run: str) -> Evaluated:
    """Of 400 images the first so many fell in each outcome."""
    samples = np.arange(400)
    parts = [
        pd.DataFrame(
            {
                "sample": samples,
                "outcome": outcome,
                "label": samples % CLASSES,
                "prediction": (samples + (samples < wrong)) % CLASSES,
                "loss": np.float32(1.0),
                "success": samples < wrong,
                "carried": False,
            }
        )
        for outcome, wrong in fallen.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    return Evaluated(rows, None, {"run": run, "outcomes": {name: rate(fell(rows, name)) for name in fallen}})


def test_what_is_judged_elsewhere_stands_beside_it_with_its_condition(told: FinishedStudy) -> None:
    frame = reproduce(SPEC, told.results).frame.set_index(["suite", "column"])
    assert frame["value"].to_dict() == {
        (name, column): value
        for name in ("at-0", "at-1")
        for column, value in (("clean", 10.0), ("pgd", 25.0), ("elsewhere", 15.0))
    }
    assert frame["condition"].tolist() == ["0", "0", "1", "1", "1", "0.3"]


def test_masking_verdicts_are_of_weights_and_condition(told: FinishedStudy) -> None:
    frame = reproduce(SPEC, told.results).frame.set_index(["suite", "column"])
    assert frame["masking"].to_dict() == {
        ("at-0", "clean"): "passed",
        ("at-0", "pgd"): "passed",
        ("at-0", "elsewhere"): "failed",  # as the suite at-1 found
        ("at-1", "clean"): "failed",
        ("at-1", "pgd"): "failed",
        ("at-1", "elsewhere"): "not checked",  # no suite tells it 0.3
    }


def test_the_worst_case_is_that_of_the_suites_own_condition(told: FinishedStudy) -> None:
    (run,) = told.plan.runs
    results = told.results
    assert results.rate(run, "at-0", WORST_CASE).errors == 100
    stem = told.evaluation(run, "at-0", "pgd").with_suffix("")
    outcomes.save(judged({FINAL: 100, "given-1": 300}, run), stem)
    assert told.results.rate(run, "at-0", "elsewhere").errors == 300
    assert told.results.rate(run, "at-0", WORST_CASE).errors == 100


def test_of_a_network_that_takes_no_condition_it_is_the_attack_itself(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite(0.0, 1.0), suite(1.0, 0.3))
    run = empty_project.add("st", {"at-0": (40, 100), "at-1": (40, 100)})
    plan = empty_project.plan
    assert plan.evaluation_id(run, "at-0", "pgd") == plan.evaluation_id(run, "at-1", "pgd")
    frame = reproduce(SPEC, empty_project.results).frame
    assert frame["value"].tolist() == [10.0, 25.0, 25.0] * 2
    assert set(frame["condition"]) == {""}
    assert set(frame["masking"]) == {"passed"}
