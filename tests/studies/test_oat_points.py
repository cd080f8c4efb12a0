"""What each attacker leaves standing, the verdict on both ends, what trainings cost: on results made up."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.datasets.digits import Digits
from robustfront.config.evaluations import Suite
from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.config.schema import Run
from robustfront.evaluation.statistics import Interval
from robustfront.methods.oat import MixedParams, OnceForAllParams
from robustfront.planning.study import PlannedRun
from robustfront.studies.oat.costs import passes
from robustfront.studies.oat.points import DEDICATED, TRANSFER, WORST, points
from robustfront.studies.oat.switching import gained, verdict

PGD = {"threat": {"eps": 0.1}, "attack": {"steps": 7, "step_size": 0.02}}
COUNT = 8


def suite(value: float) -> Suite:
    attack = PGDEvaluation.model_validate({"kind": "pgd", "steps": 7, "step_size": 0.02})
    judged = {"pgd": {"pgd-at-0": 0.0, "pgd-at-1": 1.0}}
    settings = {"name": f"at-{value:g}", "threat": {"eps": 0.1}, "attacks": {"pgd": attack}}
    return Suite.model_validate(settings | {"condition": value, "judged_at": judged})


def planned(name: str, params: Any, method: str, film: dict[str, Any] | None, epochs: int = 4) -> PlannedRun:
    dataset = Digits.model_validate(
        {
            "name": "digits",
            "splits": {"validation": 200, "test": 400},
            "normalisation": {"mean": [0.0], "std": [1.0]},
        }
    )
    training = {
        "epochs": epochs,
        "batch_size": 64,
        "drop_last": True,
        "optimizer": {"lr": 0.1},
        "schedule": {"kind": "constant"},
    }
    config = Run.model_validate(
        {
            "method": method,
            "params": params.model_dump(mode="json"),
            "dataset": dataset,
            "model": {"arch": "film_resnet", "depth": 10, "width": 4, "film": film},
            "training": training,
            "seed": 0,
        }
    )
    return PlannedRun(f"{name}-s0", config, "d", [name])


OAT = planned("oat", OnceForAllParams.model_validate(PGD), "oat", {"width": 8})
ONE = planned("dedicated-1", MixedParams.model_validate(PGD | {"weight": 1.0}), "mixed_at", None)
NONE = planned("dedicated-0", MixedParams.model_validate(PGD | {"weight": 0.0}), "mixed_at", None)


def fell(*images: int) -> "pd.Series[bool]":
    return pd.Series([image in images for image in range(COUNT)])


class Made:
    """Results of OAT and of the models of one lambda, by suite and shown attack."""

    def __init__(self, **missing: Any) -> None:
        self.suites = {one.name: one for one in (suite(0.0), suite(1.0))}
        self.runs = {run.id: run for run in (OAT, ONE, NONE)}
        self.found = {
            ("oat-s0", "at-0", "clean"): fell(0),
            ("oat-s0", "at-0", "pgd"): fell(0, 1, 2, 3, 4),
            ("oat-s0", "at-0", "pgd-at-1"): fell(0, 5),
            ("oat-s0", "at-1", "clean"): fell(0, 1),
            ("oat-s0", "at-1", "pgd"): fell(0, 1, 2),
            ("oat-s0", "at-1", "pgd-at-0"): fell(0, 2),
            ("dedicated-1-s0", "at-0", "clean"): fell(1),
            ("dedicated-1-s0", "at-0", "pgd"): fell(1, 2),
        }

    def find(self, name: str, dataset_id: str) -> list[PlannedRun]:
        return [run for run in self.runs.values() if name in run.names]

    def fell(self, run_id: str, suite: str, attack: str) -> Any:
        return self.found.get((run_id, suite, attack))


def of(results: Any) -> dict[tuple[str, float], dict[str, float]]:
    """(family, lambda) -> attacker -> how many images fell."""
    return {
        (name, point.value): {attack: int(made[0].sum()) for attack, made in point.fallen.items()}
        for name, family in points(results, "d").items()
        for point in family
    }


def test_the_worst_case_joins_those_who_know_lambda_and_what_is_made_elsewhere() -> None:
    found = of(Made())
    assert found["OAT", 0.0] == {"clean": 1, "pgd": 5, TRANSFER: 2, WORST: 5}
    assert found["OAT", 1.0] == {"clean": 2, "pgd": 3, TRANSFER: 2, WORST: 4}  # image 5 falls to a transfer
    assert found[DEDICATED, 1.0] == {"clean": 1, "pgd": 2, WORST: 2}


def test_without_all_attacks_there_is_no_worst_case() -> None:
    made = Made()
    del made.found["oat-s0", "at-0", "pgd-at-1"]
    found = of(made)
    assert WORST not in found["OAT", 1.0]
    assert WORST in found["OAT", 0.0]
    assert found[DEDICATED, 0.0] == {}  # not trained yet


def test_accuracy_has_its_interval_and_seen_is_what_was_drawn_from() -> None:
    first, last = points(Made(), "d")["OAT"]  # type: ignore[arg-type]
    accuracy = last.accuracy(WORST)
    assert accuracy is not None
    assert accuracy.mean == pytest.approx(0.5)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.2152, 0.7848), abs=1e-4)  # Wilson of 4 in 8
    assert first.seen
    assert last.seen


def test_ends_are_compared_image_by_image() -> None:
    generator = np.random.default_rng(0)
    first = pd.Series(generator.random(1000) < 0.6)
    last = first & pd.Series(generator.random(1000) < 0.9)
    found = gained([first], [last])
    assert found.mean == pytest.approx(float(first.mean() - last.mean()))
    independent = 2.241 * (2 * 0.6 * 0.4 / 1000) ** 0.5
    assert 0 < found.low < found.mean < found.high
    assert found.high - found.low < independent  # pairing pays


@pytest.mark.parametrize(
    ("standard", "robust", "said"),
    [
        ((-0.03, 0.01), (-0.02, 0.04), "not conditional"),
        ((-0.03, 0.01), (0.01, 0.05), "conditional"),
        ((-0.06, -0.01), (-0.02, 0.04), "conditional, but not more robust"),
        ((-0.06, -0.01), (-0.05, -0.01), "conditional, but not more robust"),
    ],
)
def test_what_is_said_of_both_ends(
    standard: tuple[float, float], robust: tuple[float, float], said: str
) -> None:
    standard_interval, robust_interval = (Interval(sum(ends) / 2, *ends) for ends in (standard, robust))
    assert verdict(standard_interval, robust_interval) == said


def test_cost_is_in_passes_of_the_network_without_film() -> None:
    """1,197 images in 18 whole batches of 64; five of six attacked; FiLM's multiplications counted."""
    images = 18 * 64
    plain = FilmResNet(depth=10, width=4, film=None)
    told = OAT.config.model
    size = {"channels": 1, "size": 8, "classes": 10}
    flops, plain_flops = told.forward_flops(**size), plain.forward_flops(**size)
    assert flops is not None
    assert passes(OAT) == pytest.approx(4 * images * (3 + 5 / 6 * 17) * flops / plain_flops)
    assert passes(ONE) == pytest.approx(4 * images * 20)
    assert passes(NONE) == pytest.approx(4 * images * 3)
